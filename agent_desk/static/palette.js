// The command palette: one field that finds verbs, pages, people, queues and articles. A combobox
// with a list, as ARIA describes it: the focus stays in the field, the arrows move in the list.

import { commands, findables } from "./commands.js";
import { el, icon, name, texts } from "./elements.js";
import { folded, score } from "./fuzzy.js";
import { caps } from "./shortcut_list.js";

const MOST = 40;
const MOST_OF_GROUP = 8;
const PAUSE_MS = 120;
const REMEMBERED = 12;
const ORDER = ["recent", "command", "colleague", "queue", "page", "customer", "conversation", "written", "article"];

const dialog = document.getElementById("palette");
const field = dialog.querySelector("input");
const list = dialog.querySelector("[role=listbox]");
const nothing = dialog.querySelector(".empty-line");
const said = dialog.querySelector("[role=status]");
const memory = `deskbell:recent:${texts.me}`;

let shown = [];
let at = 0;
let asking = null;
let pause = 0;

export function open() {
  if (dialog.open) return;
  field.value = "";
  dialog.showModal();
  look();
}

field.addEventListener("input", look);
field.addEventListener("keydown", (event) => {
  const to = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: Math.min(shown.length - 1, at + 8),
    PageUp: Math.max(0, at - 8),
  }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    mark((to + shown.length) % (shown.length || 1));
  } else if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    if (shown[at]) take(shown[at]);
  }
});
list.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (option) take(shown[Number(option.dataset.at)]);
});
// A pointer that rests does not move the mark while the list is drawn under it.
list.addEventListener("pointermove", (event) => {
  const option = event.target.closest("[role=option]");
  if (option && Number(option.dataset.at) !== at) mark(Number(option.dataset.at), false);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => asking?.abort());

function take(item) {
  dialog.close();
  remember(item);
  item.run();
}

/** What is here is shown at once; what must be asked for follows. */
function look() {
  const words = folded(field.value.trim());
  const asked = field.value.trim();
  asking?.abort();
  clearTimeout(pause);
  const own = items().map((item) => ({ item, rank: score(words, folded(keysOf(item))) }));
  const found = own.filter(({ rank }) => rank > 0);
  if (words) found.sort((a, b) => b.rank - a.rank);
  const local = (words ? found.map(({ item }) => item) : recentFirst(found)).slice(0, MOST);
  draw(grouped(local, words));
  if (words === "") return;
  const mine = (asking = new AbortController());
  pause = setTimeout(async () => {
    const others = findables().filter((one) => one.asked);
    const answers = await Promise.allSettled(others.map((one) => one.source(asked, mine.signal)));
    if (mine.signal.aborted) return;
    const more = answers.flatMap((answer) => answer.value ?? []);
    draw(grouped([...local, ...more], words));
  }, PAUSE_MS);
}

const keysOf = (item) => `${item.title} ${item.detail ?? ""}`;

function items() {
  const verbs = commands()
    .filter((one) => one.when() && one.id !== "palette")
    .map((one) => ({ ...one, group: "command", icon: "command", run: () => one.run("") }));
  const things = findables()
    .filter((one) => !one.asked)
    .flatMap((one) => one.source());
  return [...verbs, ...things];
}

/** By group, the group with the best find first; within one, best first. */
function grouped(found, words) {
  const groups = new Map();
  for (const item of found) {
    const group = groups.get(item.group) ?? [];
    if (group.length < MOST_OF_GROUP || !words) group.push(item);
    groups.set(item.group, group);
  }
  const order = words ? [...groups.keys()] : ORDER.filter((group) => groups.has(group));
  return order.map((group) => [group, groups.get(group)]);
}

function draw(groups) {
  const before = shown[at]?.id;
  shown = groups.flatMap(([, found]) => found);
  let place = 0;
  list.replaceChildren(
    ...groups.map(([group, found]) =>
      el(
        "div",
        { role: "group", "aria-labelledby": `palette-${group}` },
        el("div", { class: "palette-group", id: `palette-${group}` }, texts.palette[group]),
        ...found.map((item) => option(item, place++)),
      ),
    ),
  );
  nothing.hidden = shown.length > 0;
  list.hidden = shown.length === 0;
  said.textContent = shown.length
    ? texts.palette.count.replace("%(count)s", shown.length)
    : texts.palette.nothing;
  // Answers that come late move no mark away from under the finger.
  const kept = field.value && before ? shown.findIndex((item) => item.id === before) : 0;
  mark(Math.max(0, kept));
}

function option(item, place) {
  return el(
    "div",
    { role: "option", id: `palette-option-${place}`, "data-at": place, class: "palette-option" },
    icon(item.icon),
    el("span", { class: "palette-title" }, name(item.title)),
    item.detail ? el("span", { class: "palette-detail muted" }, name(item.detail)) : null,
    item.keys?.length === 1 ? el("span", { class: "palette-keys" }, ...caps(item.keys[0])) : null,
  );
}

function mark(place, scrolled = true) {
  at = place;
  for (const one of list.querySelectorAll("[aria-selected=true]")) {
    one.setAttribute("aria-selected", "false");
  }
  const option = document.getElementById(`palette-option-${place}`);
  if (option === null) {
    field.removeAttribute("aria-activedescendant");
    return;
  }
  option.setAttribute("aria-selected", "true");
  field.setAttribute("aria-activedescendant", option.id);
  if (scrolled) option.scrollIntoView({ block: "nearest" });
}

// ---- what was used last comes first; customers are not remembered --------------------------------

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(memory))?.ids ?? [];
  } catch {
    return [];
  }
}

function remember(item) {
  if (["customer", "written", "article"].includes(item.group)) return;
  const ids = [item.id, ...remembered().filter((id) => id !== item.id)].slice(0, REMEMBERED);
  try {
    // `saved`: signing out may take it away.
    localStorage.setItem(memory, JSON.stringify({ saved: true, ids }));
  } catch {
    // The computer's storage is full or shut: nothing is remembered.
  }
}

function recentFirst(found) {
  const known = new Map(found.map(({ item }) => [item.id, item]));
  const recent = remembered()
    .filter((id) => known.has(id))
    .slice(0, 5)
    .map((id) => ({ ...known.get(id), group: "recent" }));
  const taken = new Set(recent.map((item) => item.id));
  return [...recent, ...found.map(({ item }) => item).filter((item) => !taken.has(item.id))];
}
