// The forms: before the chat, and the small ones within it. Nothing typed is lost by a mistake.

function field(label, properties, hint) {
  const input = make("input", { class: "input", ...properties });
  const described = hint ? make("span", { class: "hint" }, hint) : null;
  return [make("label", { class: "field" }, make("span", {}, label), input, described), input];
}

function topicState(topic, chat) {
  const words = chat.words;
  if (!topic.open) {
    if (!topic.opens_at) return words.closed;
    const at = new Date(topic.opens_at * 1000);
    const soon = at - Date.now() < 20 * 3600e3;
    const form = { hour: "2-digit", minute: "2-digit", ...(soon ? {} : { weekday: "long" }) };
    const shown = new Intl.DateTimeFormat(chat.language, form).format(at);
    return filled(words.closed_until, { time: shown });
  }
  if (!topic.there) return words.nobody_there;
  if (!topic.usual_wait_s) return words.somebody_there;
  return filled(words.usual_wait, { wait: shownMinutes(topic.usual_wait_s, words) });
}

// Who begins a chat: a name if they like, a topic, and what we keep said before anything is kept.
function startForm(chat, begin) {
  const words = chat.words;
  const topics = chat.opening.topics;
  const [nameField, name] = field(words.name, { maxlength: 100, autocomplete: "name" }, words.if_you_like);
  const [mailField, mail] = field(words.mail, { type: "email", maxlength: 200, autocomplete: "email", dir: "ltr" });
  const [phoneField, phone] = field(words.phone, { type: "tel", maxlength: 40, autocomplete: "tel", dir: "ltr" });
  const reach = make("div", { class: "reach" }, make("p", { class: "hint" }, words.reach_needed), mailField, phoneField);
  const remember = make("input", { type: "checkbox" });
  const problem = make("p", { class: "problem", role: "alert" });
  const button = make("button", { class: "main", type: "submit" }, words.start);
  const chosen = () => topics.find((topic) => topic.code === form.elements.topic?.value) || topics[0];
  const away = () => !chosen().open || !chosen().there;
  const show = () => {
    reach.hidden = !away();
    button.textContent = away() ? words.leave_a_message : words.start;
  };
  const choices = topics.map((topic, place) =>
    make(
      "label",
      { class: "topic" },
      make("input", {
        type: "radio",
        name: "topic",
        value: topic.code,
        checked: topic.code === chat.options.topic || (place === 0 && !topics.some((one) => one.code === chat.options.topic)),
        onchange: show,
      }),
      make("span", { class: "topic-name" }, make("bdi", {}, topic.title)),
      make("span", { class: "topic-state" }, topicState(topic, chat)),
    ),
  );
  const form = make(
    "form",
    {
      class: "start",
      novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        problem.textContent = "";
        const found = { name: name.value.trim(), mail: mail.value.trim(), phone: phone.value.trim() };
        if (away() && !found.mail && !found.phone) {
          problem.textContent = words.reach_needed;
          mail.focus();
          return;
        }
        button.disabled = true;
        const said = await begin({ ...found, topic: chosen().code }, remember.checked);
        button.disabled = false;
        if (!said) return;
        problem.textContent = words["problem_" + said] || words.problem_other;
        ({ mail, phone })[said]?.focus();
      },
    },
    make("p", { class: "hello" }, filled(words.hello, { house: `\u2068${chat.house}\u2069` })),
    make("fieldset", { class: "topics" }, make("legend", {}, words.topic), ...choices),
    nameField,
    reach,
    make(
      "details",
      { class: "kept" },
      make("summary", {}, words.what_we_keep),
      make("p", {}, filled(words.what_we_keep_text, { house: `\u2068${chat.house}\u2069` })),
    ),
    make("label", { class: "remember" }, remember, make("span", {}, words.remember)),
    problem,
    button,
    make("p", { class: "consent" }, words.consent),
  );
  show();
  return [form, name];
}

// A small form over the conversation: one or two fields, a word of explanation, a button.
function smallForm(chat, { title, text, fields, button, done }) {
  const problem = make("p", { class: "problem", role: "alert" });
  const inputs = {};
  const rows = Object.entries(fields).map(([key, [label, properties]]) => {
    const [row, input] = field(label, properties);
    inputs[key] = input;
    return row;
  });
  const form = make(
    "form",
    {
      class: "small",
      novalidate: true,
      "aria-label": title,
      onsubmit: (event) => {
        event.preventDefault();
        const values = Object.fromEntries(
          Object.entries(inputs).map(([key, input]) => [key, input.value.trim()]),
        );
        problem.textContent = done(values) || "";
      },
    },
    make("h3", {}, title),
    text ? make("p", { class: "hint" }, text) : null,
    ...rows,
    problem,
    make(
      "div",
      { class: "buttons" },
      make("button", { class: "main", type: "submit" }, button),
      make("button", { class: "plain", type: "button", onclick: () => chat.closeForm() }, chat.words.cancel),
    ),
  );
  form.tell = (said) => {
    problem.textContent = said;
  };
  return form;
}

function mailField(chat) {
  return [chat.words.mail, { type: "email", maxlength: 200, autocomplete: "email", dir: "ltr", value: chat.me.mail || "" }];
}

function phoneField(chat) {
  return [chat.words.phone, { type: "tel", maxlength: 40, autocomplete: "tel", dir: "ltr", value: chat.me.phone || "" }];
}

function transcriptForm(chat) {
  const words = chat.words;
  return smallForm(chat, {
    title: words.transcript,
    text: words.transcript_text,
    fields: { mail: mailField(chat) },
    button: words.send,
    done: ({ mail }) => {
      if (!mail.includes("@")) return words.problem_mail;
      chat.connection.say({ transcript: mail });
      return "";
    },
  });
}

function reachForm(chat) {
  const words = chat.words;
  return smallForm(chat, {
    title: words.reach,
    text: words.reach_if_gone,
    fields: { mail: mailField(chat), phone: phoneField(chat) },
    button: words.keep,
    done: (values) => {
      chat.connection.say({ reach: values });
      return "";
    },
  });
}

function proofForm(chat) {
  const words = chat.words;
  return smallForm(chat, {
    title: words.proof,
    text: words.proof_text,
    fields: { mail: mailField(chat), phone: phoneField(chat) },
    button: words.send_code,
    done: ({ mail, phone }) => {
      if (!mail && !phone) return words.reach_needed;
      chat.proving = mail ? { mail } : { phone };
      chat.connection.say({ prove: chat.proving });
      return "";
    },
  });
}

function codeForm(chat) {
  const words = chat.words;
  return smallForm(chat, {
    title: words.proof,
    text: words.code_text,
    fields: {
      code: [words.code, { inputmode: "numeric", autocomplete: "one-time-code", maxlength: 10, dir: "ltr" }],
    },
    button: words.confirm,
    done: ({ code }) => {
      chat.connection.say({ code, of: chat.proving });
      return "";
    },
  });
}
