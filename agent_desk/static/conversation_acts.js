// What an agent does with a conversation besides writing: each verb, its dialog and its key.

import { DispositionTree } from "./disposition_tree.js";
import { el, name, put, texts } from "./elements.js";
import { whoWrites } from "./inbox_list.js";
import { ahead, filled, shownMoment, words } from "./inbox_words.js";
import { get, latest, post, Refused } from "./requests.js";

const PAUSE_MS = 200;

export function mountActs(conversation, workplace, page) {
  const dialogs = {
    close: closing(conversation, page),
    snooze: snoozing(conversation, page),
    assign: assigning(conversation),
    tags: tagging(conversation),
    merge: merging(conversation, page),
    split: splitting(conversation, page),
    customer: giving(conversation),
  };
  const verbs = {
    back: () => page.close(),
    next: () => page.next(),
    take: () => conversation.act({ action: "assign", to: texts.me }),
    release: () => conversation.act({ action: "assign", to: null }),
    wake: () => conversation.act({ action: "wake" }),
    reopen: () => conversation.act({ action: "reopen" }),
    spam: async () => {
      if (await conversation.act({ action: "spam" })) page.next();
    },
    unmerge: () => conversation.act({ action: "unmerge", from: conversation.line.merges.at(-1) }),
  };
  for (const [id, dialog] of Object.entries(dialogs)) verbs[id] = () => dialog.show();

  const run = (id) => {
    if (conversation.line !== null) verbs[id]();
  };
  const isOpen = () => conversation.line !== null;
  const state = () => conversation.line?.state;
  const { keys } = words;
  const command = (id, title, keysOf, runs, when = isOpen) =>
    workplace.command({ id: `inbox-${id}`, title, keys: keysOf, when, run: runs });
  command("take", keys.take, "a", () => run("take"));
  command("snooze", keys.snooze, "z", () => run(state() === "snoozed" ? "wake" : "snooze"));
  command("tag", keys.tag, "t", () => run("tags"));
  command("close", keys.close, "e", () => run(state() === "closed" ? "reopen" : "close"));
  command("after", keys.next, ".", () => run("next"));
  for (const id of ["assign", "merge", "split", "spam", "customer"]) {
    command(id, words.acts[id], [], () => run(id));
  }

  return {
    pressed: (event) => {
      const id = event.target.closest("[data-act]")?.dataset.act;
      if (!id) return;
      event.target.closest("details")?.removeAttribute("open");
      run(id);
    },
    decide: (suggestion, accept) => conversation.act({ action: "decide", suggestion, accept }),
    join: (other) => conversation.join(other),
    askWho: () => conversation.askWho(),
    open: (event, id) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      page.open(id);
    },
  };
}

/** A dialog of panels/conversation_dialogs.html: `fill(form)` before it opens, `send(form)` then. */
function dialogOf(id, fill, send) {
  const dialog = document.getElementById(`conversation-${id}`);
  const form = dialog.querySelector("form");
  const problem = form.querySelector("[data-problem]");
  const tell = (text) => {
    put(problem, text);
    problem.hidden = text === "";
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    tell("");
    try {
      if (await send(form)) dialog.close();
    } catch (error) {
      tell(error instanceof Refused ? error.message : texts.try_again);
    }
  });
  return {
    dialog,
    form,
    tell,
    show: async () => {
      tell("");
      form.reset();
      dialog.showModal();
      try {
        await fill(form);
      } catch (error) {
        tell(error instanceof Refused ? error.message : texts.try_again);
      }
    },
  };
}

function closing(conversation, page) {
  const { dialog, form, show } = dialogOf("close", fill, send);
  const tree = new DispositionTree(
    form.querySelector("[data-dispositions]"),
    form.querySelector("[data-trail]"),
    () => {},
  );
  form.addEventListener("keydown", (event) => {
    const typing = event.target.matches("textarea");
    if (!typing && /^[1-9]$/.test(event.key)) tree.press(Number(event.key));
    else if (!typing && event.key === "Backspace" && tree.isDeep) tree.up();
    else if (event.key === "Enter" && event.ctrlKey) form.requestSubmit();
    else return;
    event.preventDefault();
  });
  let offered = false;
  async function fill() {
    offered = false;
    tree.offer([]);
    const { dispositions } = await get("/api/dispositions", { queue: conversation.line.queue ?? "" });
    tree.offer(dispositions);
    offered = true;
    form.querySelector("[data-dispositions] input, [data-dispositions] button")?.focus();
  }
  async function send() {
    if (!offered || (tree.isThere && tree.chosen === null)) throw new Refused(400, words.choose_disposition);
    const disposition = tree.chosen?.code ?? "";
    dialog.close();
    if (await conversation.act({ action: "close", disposition, note: form.elements.note.value })) page.next();
    return true;
  }
  return { show };
}

function snoozing(conversation, page) {
  const { dialog, form, show } = dialogOf("snooze", fill, send);
  const place = form.querySelector("[data-snooze-choices]");
  const until = async (seconds) => {
    dialog.close();
    if (await conversation.act({ action: "snooze", until: seconds })) page.next();
  };
  function fill() {
    place.replaceChildren(
      ...conversation.line.snooze_choices.map(({ code, at }) =>
        el(
          "button",
          { type: "button", class: "button", onclick: () => until(at) },
          words.snooze[code],
          el("span", { class: "muted" }, ahead(at)),
        ),
      ),
    );
    place.querySelector("button")?.focus();
  }
  async function send() {
    const at = new Date(form.elements.until.value).getTime() / 1000;
    if (!(at > Date.now() / 1000)) throw new Refused(400, words.choose_future);
    await until(at);
    return true;
  }
  return { show };
}

function assigning(conversation) {
  const none = ["", words.unassigned];
  const options = (select, choices, chosen) =>
    select.replaceChildren(
      ...choices.map(([value, title]) => el("option", { value, selected: value === (chosen ?? "") }, title)),
    );
  return dialogOf(
    "assign",
    (form) => {
      const { line } = conversation;
      options(form.elements.agent, [none, ...Object.entries(words.people)], line.assigned_to);
      options(form.elements.queue, [["", words.no_queue], ...Object.entries(texts.queues)], line.queue);
      form.elements.agent.focus();
    },
    async (form) => {
      const to = form.elements.agent.value || null;
      const queue = form.elements.queue.value || null;
      const { line } = conversation;
      if (queue !== line.queue && !(await conversation.act({ action: "queue", queue }))) return true;
      if (to !== conversation.line?.assigned_to) await conversation.act({ action: "assign", to });
      return true;
    },
  );
}

function tagging(conversation) {
  const fill = (form) => {
    form.elements.tag.value = "";
    form.querySelector("[data-tags]").replaceChildren(
      ...conversation.line.tags.map((tag) =>
        el(
          "li",
          {},
          el(
            "button",
            {
              type: "button",
              class: "badge tag tag-gone",
              "aria-label": filled(words.take_tag_away, { tag }),
              onclick: async () => {
                await conversation.act({ action: "tag", remove: [tag] });
                fill(form);
                form.elements.tag.focus();
              },
            },
            name(tag),
            " ×",
          ),
        ),
      ),
    );
    form.querySelector("datalist, #known-tags")?.replaceChildren(
      ...words.tags.map((tag) => el("option", { value: tag })),
    );
    form.elements.tag.focus();
  };
  return dialogOf("tags", fill, async (form) => {
    const tag = form.elements.tag.value.trim();
    if (!tag) return true;
    await conversation.act({ action: "tag", add: [tag] });
    fill(form);
    return false;
  });
}

function merging(conversation, page) {
  return dialogOf(
    "merge",
    async (form) => {
      const place = form.querySelector("[data-merge-choices]");
      place.replaceChildren(el("span", { class: "skeleton" }));
      const { conversations } = await get(`/api/conversations/${conversation.id}/beside`);
      place.replaceChildren(
        ...(conversations.length
          ? conversations.map((line) => choice("into", line.id, whoWrites(line), line.subject || line.preview, shownMoment(line.last_message_at)))
          : [el("p", { class: "empty-line" }, words.none_to_join)]),
      );
      place.querySelector("input")?.focus();
    },
    async (form) => {
      const into = Number(new FormData(form).get("into"));
      if (!into) throw new Refused(400, words.choose_one);
      if (await conversation.act({ action: "merge", into })) page.open(into);
      return true;
    },
  );
}

function splitting(conversation, page) {
  return dialogOf(
    "split",
    async (form) => {
      const { entries } = await get(`/api/conversations/${conversation.id}`);
      const messages = entries.filter((one) => one.kind === "message");
      form.querySelector("[data-split-choices]").replaceChildren(
        ...messages.map((one) =>
          choice("message", one.id, one.author_name || one.sender_name || one.shown_sender, one.text.slice(0, 120), shownMoment(one.at), "checkbox"),
        ),
      );
      form.querySelector("input")?.focus();
    },
    async (form) => {
      const messages = new FormData(form).getAll("message").map(Number);
      if (messages.length === 0) throw new Refused(400, words.choose_one);
      const { line } = conversation;
      const { id } = await post(`/api/conversations/${line.id}/split`, { messages, version: line.version });
      page.changed();
      page.open(id);
      return true;
    },
  );
}

function giving(conversation) {
  const nextLook = latest();
  const { form, show } = dialogOf(
    "customer",
    () => {
      place.replaceChildren();
      form.elements.find.focus();
    },
    async () => {
      const customer = Number(new FormData(form).get("customer"));
      if (!customer) throw new Refused(400, words.choose_one);
      await conversation.act({ action: "customer", customer });
      return true;
    },
  );
  const place = form.querySelector("[data-customer-choices]");
  let timer = 0;
  form.elements.find.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const find = event.target.value.trim();
      if (!find) return;
      try {
        const { found } = await get("/api/customers", { find }, { signal: nextLook() });
        place.replaceChildren(
          ...found.map((one) => choice("customer", one.id, one.name, one.detail, texts.segment[one.segment])),
        );
      } catch {
        // A later letter asks again.
      }
    }, PAUSE_MS);
  });
  return { show };
}

function choice(field, value, title, detail, aside, type = "radio") {
  return el(
    "label",
    { class: "merge-choice" },
    el("input", { type, name: field, value }),
    el("strong", {}, name(title)),
    el("span", { class: "merge-detail", dir: "auto" }, detail),
    el("span", { class: "muted" }, aside),
  );
}
