// The editor of a phone menu: its parts, the tree as a picture, what is wrong, and trying it. It
// writes the tree into the form's own field, which the server reads as it would without a script.

import { el, textsOf } from "./elements.js";
import { menuTrial } from "./menu_trial.js";
import { nodeForm } from "./menu_node_form.js";
import { menuPicture } from "./menu_picture.js";
import { post, Refused } from "./requests.js";
import "./shell.js";

const PAUSE_MS = 400;

const texts = textsOf("menu-editor");
const choices = textsOf("menu-choices");
const form = document.querySelector("[data-menu-editor]");
const raw = form.querySelector("[data-raw-tree] textarea");
const reader = document.documentElement.lang;

let tree = parsed(raw.value);
let chosen = tree.start || tree.nodes[0]?.id || null;
let wrong = new Set();
let timer = 0;
let turn = 0;
let tried = "";
const saved = JSON.stringify(tree);

const list = el("ol", { class: "editor-steps" });
const place = el("div", { class: "panel panel-padded editor-step" });
const picture = el("div", { class: "editor-flow", tabindex: "0" });
const faults = el("div", { class: "editor-faults", role: "status" });
const whole = el("div", { class: "menu-whole" });

form.querySelector("[data-editor]").replaceChildren(
  el("section", { class: "panel panel-padded menu-picture" }, el("h2", {}, texts.flow), picture, faults),
  el(
    "div",
    { class: "editor" },
    el(
      "div",
      { class: "editor-side" },
      el("section", { class: "panel panel-padded" }, el("h2", {}, texts.nodes), list,
        el("button", { type: "button", class: "button", onclick: () => choose(added()) }, texts.add)),
    ),
    place,
  ),
  el("section", { class: "panel panel-padded menu-settings" }, el("h2", {}, texts.whole), whole),
);
const trial = menuTrial({ texts, choices, tree: () => tree, at: mark });
// It has buttons of its own, which cannot stand within this form.
form.after(trial.element);
form.querySelector("[data-raw-tree]").hidden = true;
addEventListener("beforeunload", (event) => {
  if (!form.dataset.sending && JSON.stringify(tree) !== saved) event.preventDefault();
});
form.addEventListener("submit", () => {
  form.dataset.sending = "yes";
  raw.value = JSON.stringify(tree);
});
draw();

function parsed(text) {
  let found = {};
  try {
    found = JSON.parse(text) ?? {};
  } catch {
    // The server has said what is wrong with it; here one begins anew.
  }
  const known = { languages: ["en"], start: "", agents: { queue: "" }, hours: "", nodes: [], ...found };
  for (const node of known.nodes) completed(node);
  return known;
}

/** The form writes into these: what is not given is made here, so that looking changes nothing. */
function completed(node) {
  if (["menu", "say", "hang_up"].includes(node.kind)) node.texts ??= {};
  if (node.kind === "menu") node.choices ??= [];
  return node;
}

/** A part in the reader's words: what it says, else what it does. */
function titleOf(node) {
  const said = node.texts?.[reader] ?? node.texts?.[tree.languages[0]];
  if (said && node.kind !== "menu") return said;
  if (node.kind === "function") return choices.functions[node.function] ?? node.function;
  if (node.kind === "queue" || node.kind === "message") {
    const queue = node.target?.queue ?? tree.agents.queue;
    return `${choices.kinds[node.kind]}: ${choices.queues[queue] ?? queue}`;
  }
  return `${choices.kinds[node.kind] ?? node.kind}: ${node.id}`;
}

/** The ways on from a part, with what leads there. */
function ways(node) {
  if (node.kind === "menu") return node.choices.map(({ key, to }) => ({ label: key, to }));
  if (node.kind === "hours") {
    return [
      { label: texts.open, to: node.open },
      { label: texts.closed, to: node.closed },
    ];
  }
  return node.to ? [{ label: "", to: node.to }] : [];
}

function draw() {
  drawList();
  drawNode();
  drawWhole();
  changed();
}

function drawList() {
  list.replaceChildren(
    ...tree.nodes.map((node) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: "menu-line",
            "aria-current": node.id === chosen ? "true" : null,
            "data-wrong": wrong.has(node.id),
            onclick: () => choose(node.id),
          },
          el("bdi", {}, titleOf(node)),
        ),
      ),
    ),
  );
}

function drawNode() {
  const node = tree.nodes.find((one) => one.id === chosen);
  if (!node) {
    place.replaceChildren();
    return;
  }
  place.replaceChildren(
    ...nodeForm(node, {
      tree,
      texts,
      choices,
      titleOf,
      changed,
      choose,
      added: (kind) => added(kind),
      redraw() {
        completed(node);
        drawList();
        drawNode();
        changed();
      },
      renamed(before) {
        redirect(before, node.id);
        if (tree.start === before) tree.start = node.id;
        chosen = node.id;
        changed();
      },
      begin() {
        tree.start = node.id;
        draw();
      },
      remove() {
        tree.nodes = tree.nodes.filter((one) => one !== node);
        redirect(node.id, "");
        if (tree.start === node.id) tree.start = tree.nodes[0]?.id ?? "";
        chosen = tree.start || null;
        draw();
      },
    }),
  );
}

/** Every way to `before` leads to `after`. */
function redirect(before, after) {
  for (const one of tree.nodes) {
    for (const name of ["to", "open", "closed"]) if (one[name] === before) one[name] = after;
    for (const choice of one.choices ?? []) if (choice.to === before) choice.to = after;
  }
}

/** What holds for the menu as a whole: its languages, where 0 leads, when agents answer. */
function drawWhole() {
  const select = (label, lines, value, write) =>
    el(
      "label",
      { class: "field" },
      el("span", {}, label),
      el(
        "select",
        {
          onchange: (event) => {
            write(event.target.value);
            draw();
          },
        },
        lines.map(([code, title]) => el("option", { value: code, selected: code === value }, title)),
      ),
    );
  const queues = Object.entries(choices.queues);
  whole.replaceChildren(
    el(
      "fieldset",
      { class: "setup-group" },
      el("legend", {}, texts.languages),
      Object.entries(choices.names).map(([code, title]) => {
        const box = el("input", { type: "checkbox", checked: tree.languages.includes(code) });
        box.addEventListener("change", () => {
          const kept = tree.languages.filter((one) => one !== code);
          tree.languages = box.checked ? [...kept, code] : kept.length > 0 ? kept : [code];
          draw();
        });
        return el("label", { class: "check" }, box, el("span", { lang: code }, title));
      }),
    ),
    select(texts.agents, [["", texts.nowhere], ...queues], tree.agents.queue, (queue) => {
      tree.agents = { ...tree.agents, queue };
    }),
    ...tree.languages.map((code) =>
      select(
        `${texts.queue_for}: ${choices.names[code] ?? code}`,
        [["", texts.same_queue], ...queues],
        tree.agents.by_language?.[code] ?? "",
        (queue) => {
          const { [code]: _, ...others } = tree.agents.by_language ?? {};
          tree.agents = { ...tree.agents, by_language: queue ? { ...others, [code]: queue } : others };
        },
      ),
    ),
    select(texts.hours, [["", texts.always], ...Object.entries(choices.calendars)], tree.hours, (code) => {
      tree.hours = code;
    }),
  );
}

function choose(id) {
  chosen = id;
  drawList();
  drawNode();
  drawPicture();
}

/** A new part at the end of the list; its id. */
function added(kind = "say") {
  let number = tree.nodes.length + 1;
  while (tree.nodes.some((one) => one.id === `part-${number}`)) number += 1;
  const node = completed({ id: `part-${number}`, kind });
  if (kind === "say") node.to = "";
  tree.nodes.push(node);
  tree.start ||= node.id;
  draw();
  return node.id;
}

/** The trial is at this part. */
function mark(id) {
  tried = id;
  for (const box of picture.querySelectorAll("[data-node]")) {
    box.classList.toggle("flow-tried", box.dataset.node === id);
  }
}

/** Something was written: the picture follows at once, the server says soon what is wrong. */
function changed() {
  raw.value = JSON.stringify(tree);
  form.querySelector("[data-unsaved]").textContent =
    JSON.stringify(tree) === saved ? "" : texts.unsaved;
  drawPicture();
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE_MS);
}

function drawPicture() {
  // The picture hangs from its first part.
  const first = tree.nodes.find((one) => one.id === tree.start);
  const nodes = first ? [first, ...tree.nodes.filter((one) => one !== first)] : tree.nodes;
  const what = { chosen, wrong, ways, titleOf, choose, label: texts.flow };
  picture.replaceChildren(menuPicture(nodes, what));
  mark(tried);
}

async function check() {
  const mine = ++turn;
  let found;
  try {
    found = (await post("/api/menus/check", { tree })).problems;
  } catch (error) {
    found = [{ node: "", text: error instanceof Refused ? error.message : "…" }];
  }
  if (mine !== turn) return;
  wrong = new Set(found.map(({ node }) => node));
  const line = ({ node, text }) => {
    const known = tree.nodes.find((one) => one.id === node);
    return el(
      "li",
      {},
      known
        ? el("button", { type: "button", class: "editor-fault", onclick: () => choose(node) }, el("bdi", {}, titleOf(known)))
        : texts.whole,
      `: ${text}`,
    );
  };
  faults.replaceChildren(
    found.length === 0
      ? el("p", { class: "editor-right" }, texts.no_problems)
      : el("ul", { "aria-label": texts.problems }, found.map(line)),
  );
  drawList();
  drawPicture();
}
