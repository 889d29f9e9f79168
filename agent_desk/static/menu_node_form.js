// The form of one part of a phone menu. It writes into the part it is given, and says when something
// changed; what is wrong is said by the server.

import { el } from "./elements.js";

const KEYS = [..."123456789"];

/** The elements of the form; `about` has the tree, texts and what to do about changes. */
export function nodeForm(node, about) {
  const { tree, texts, choices, titleOf, changed, redraw } = about;

  const labelled = (label, control) => el("label", { class: "field" }, el("span", {}, label), control);
  const button = (label, onclick) => el("button", { type: "button", class: "button button-small", onclick }, label);

  function select(lines, value, write, attributes = {}) {
    return el(
      "select",
      { onchange: (event) => write(event.target.value), ...attributes },
      lines.map(([code, title]) => el("option", { value: code, selected: code === (value ?? "") }, title)),
    );
  }

  /** A text in every language of the menu. */
  function inLanguages(label, held, long = true) {
    return el(
      "fieldset",
      { class: "setup-group" },
      el("legend", {}, label),
      tree.languages.map((code) => {
        const title = choices.names[code] ?? code;
        const field = el(long ? "textarea" : "input", {
          lang: code,
          dir: "auto",
          maxlength: "1000",
          rows: long ? "2" : null,
          autocomplete: "off",
          "aria-label": `${label}: ${title}`,
        });
        field.value = held[code] ?? "";
        field.addEventListener("input", () => {
          if (field.value) held[code] = field.value;
          else delete held[code];
          changed();
        });
        return el("div", { class: "editor-language" }, el("span", { lang: code, class: "hint" }, title), field);
      }),
    );
  }

  /** Where it goes on, as a choice of all parts or a new one. */
  function leads(label, holder, name) {
    const lines = [
      ["", texts.nowhere],
      ...tree.nodes.filter((one) => one !== node).map((one) => [one.id, titleOf(one)]),
      ["+", texts.new_part],
    ];
    return labelled(
      label,
      select(lines, holder[name], (to) => {
        holder[name] = to === "+" ? about.added() : to;
        redraw();
      }),
    );
  }

  /** A queue, or the menu's own; with one of its own for callers of a language. */
  function target() {
    const queues = Object.entries(choices.queues);
    const write = (queue, byLanguage) => {
      if (queue) node.target = { queue, by_language: byLanguage };
      else delete node.target;
      redraw();
    };
    const own = node.target?.by_language ?? {};
    return [
      labelled(
        texts.queue,
        select([["", texts.menus_queue], ...queues], node.target?.queue, (queue) => write(queue, own)),
      ),
      ...(node.target
        ? tree.languages.map((code) =>
            labelled(
              `${texts.queue_for}: ${choices.names[code] ?? code}`,
              select([["", texts.same_queue], ...queues], own[code], (queue) => {
                const { [code]: _, ...others } = own;
                write(node.target.queue, queue ? { ...others, [code]: queue } : others);
              }),
            ),
          )
        : []),
    ];
  }

  function choice(one, at) {
    const taken = new Set(node.choices.map(({ key }) => key));
    const keys = KEYS.filter((key) => key === one.key || !taken.has(key)).map((key) => [key, key]);
    one.texts ??= {};
    return el(
      "div",
      { class: "editor-part" },
      el(
        "div",
        { class: "editor-row" },
        labelled(
          texts.key,
          select(keys, one.key, (key) => {
            one.key = key;
            redraw();
          }),
        ),
        leads(texts.leads_to, one, "to"),
      ),
      inLanguages(texts.label, one.texts, false),
      button(texts.remove, () => {
        node.choices.splice(at, 1);
        redraw();
      }),
    );
  }

  function addChoice() {
    const taken = new Set(node.choices.map(({ key }) => key));
    const key = KEYS.find((one) => !taken.has(one));
    if (key) node.choices.push({ key, texts: {}, to: "" });
    redraw();
  }

  const parts = {
    menu: () => [
      inLanguages(texts.says_first, node.texts),
      el("h3", {}, texts.choices),
      ...node.choices.map(choice),
      node.choices.length < KEYS.length ? button(texts.add_choice, addChoice) : null,
    ],
    say: () => [inLanguages(texts.says, node.texts), leads(texts.then, node, "to")],
    hours: () => [
      labelled(
        texts.calendar,
        select([["", texts.nowhere], ...Object.entries(choices.calendars)], node.calendar, (code) => {
          node.calendar = code;
          redraw();
        }),
      ),
      leads(texts.open, node, "open"),
      leads(texts.closed, node, "closed"),
    ],
    function: () => [
      labelled(
        texts.function,
        select(Object.entries(choices.functions), node.function, (name) => {
          node.function = name;
          redraw();
        }),
      ),
      ["complaint", "letting", "callback"].includes(node.function) ? target() : null,
      choices.endings.includes(node.function) ? null : leads(texts.then, node, "to"),
    ],
    queue: target,
    message: target,
    goto: () => [leads(texts.then, node, "to")],
    hang_up: () => [inLanguages(texts.says, node.texts)],
  };

  const id = el("input", { maxlength: "40", dir: "ltr", autocomplete: "off" });
  id.value = node.id;
  id.addEventListener("change", () => {
    const before = node.id;
    const free = !tree.nodes.some((one) => one !== node && one.id === id.value);
    if (!/^[a-z0-9][a-z0-9_-]{0,39}$/.test(id.value) || !free) id.value = before;
    else {
      node.id = id.value;
      about.renamed(before);
    }
  });

  return [
    el(
      "div",
      { class: "editor-row" },
      labelled(texts.id, id),
      labelled(
        texts.kind,
        select(Object.entries(choices.kinds), node.kind, (kind) => {
          become(node, kind);
          redraw();
        }),
      ),
    ),
    ...(parts[node.kind]?.() ?? []).flat().filter(Boolean),
    el(
      "div",
      { class: "form-foot" },
      tree.start === node.id
        ? el("p", { class: "hint" }, texts.starts_here)
        : button(texts.start_here, about.begin),
      button(texts.remove, about.remove),
    ),
  ];
}

/** Another kind has other fields; what both have is kept. */
function become(node, kind) {
  const fields = {
    menu: { texts: {}, choices: [] },
    say: { texts: {}, to: "" },
    hours: { calendar: "house", open: "", closed: "" },
    function: { function: "hours", to: "" },
    queue: {},
    message: {},
    goto: { to: "" },
    hang_up: { texts: {} },
  }[kind];
  const kept = Object.fromEntries(Object.keys(fields).map((name) => [name, node[name] ?? fields[name]]));
  if (["queue", "message", "function"].includes(kind) && node.target) kept.target = node.target;
  for (const name of Object.keys(node)) if (name !== "id") delete node[name];
  Object.assign(node, { kind, ...kept });
}
