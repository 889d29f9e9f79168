// The inbox: puts views, list and conversation together; what is open stands in the address.

import { Conversation } from "./conversation.js";
import { el, put, show, texts } from "./elements.js";
import { mountOffers } from "./conversation_offers.js";
import { InboxList } from "./inbox_list.js";
import { words } from "./inbox_words.js";
import { number } from "./moments.js";
import { get, latest, post, Refused } from "./requests.js";
import { mount as mountStateMenu } from "./state_menu.js";
import { Workplace } from "./workplace.js";

const find = (which) => document.querySelector(`[data-${which}]`);
const page = document.getElementById("main");
const workplace = new Workplace();
const PAUSE_MS = 200;
const LOOK_MS = 30_000;
const OPENED = /^#([1-9][0-9]{0,17})$/;

mountStateMenu(find("state-menu"), workplace);

// ---- views ---------------------------------------------------------------------------------------

let view = { view: "mine", queue: "", find: "" };
let counts = null;
const titles = Object.fromEntries(words.views);

function drawViews() {
  const views = words.views;
  show(find("views"), [counts?.views, view], () =>
    views.map(([code, title]) => viewLink({ view: code, queue: "" }, title, counts?.views[code])),
  );
  show(find("queue-views"), [counts?.queues, view], () =>
    Object.entries(words.queues).map(([queue, title]) =>
      viewLink({ view: "all", queue }, title, counts?.queues[queue] ?? 0),
    ),
  );
  const title = view.queue ? words.queues[view.queue] : titles[view.view];
  put(find("list-title"), title ?? "");
}

function viewLink(wish, title, count) {
  const current = view.view === wish.view && view.queue === wish.queue && !view.find;
  return el(
    "button",
    {
      type: "button",
      class: "inbox-view",
      ...(current ? { "aria-current": "true" } : {}),
      onclick: () => choose({ ...wish, find: "" }),
    },
    el("span", {}, title),
    count ? el("span", { class: "inbox-count", "data-view": wish.queue || wish.view }, number(count)) : null,
  );
}

function choose(wish) {
  view = wish;
  const field = find("find");
  if (field.value !== wish.find) field.value = wish.find;
  const query = new URLSearchParams(Object.entries(wish).filter(([, value]) => value));
  history.replaceState(null, "", `/inbox?${query}${location.hash}`);
  drawViews();
  return list.choose(wish);
}

// ---- the list and the conversation ---------------------------------------------------------------

const looking = (id) =>
  (workplace.documents("inbox").get(`looking:${id}`)?.agents ?? []).filter((one) => one.agent !== texts.me);

const list = new InboxList(find("lines"), find("older"), open, looking);
const conversation = new Conversation(find("conversation"), workplace, {
  changed: () => list.refresh(),
  open,
  next: () => {
    const id = list.beside(1) ?? list.beside(-1);
    if (id === null) close();
    else open(id);
  },
  close,
});

function open(id) {
  if (location.hash !== `#${id}`) history.pushState(null, "", `${location.pathname}${location.search}#${id}`);
  page.dataset.shows = "conversation";
  list.mark(id);
  return conversation.show(id);
}

function close() {
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
  page.dataset.shows = "list";
  list.mark(null);
  conversation.hide();
  page.querySelector(".inbox-lines a")?.focus();
}

function follow() {
  const id = OPENED.exec(location.hash)?.[1];
  if (id) open(Number(id));
  else if (conversation.id !== null) close();
}

addEventListener("popstate", follow);
addEventListener("hashchange", follow);

// ---- news ----------------------------------------------------------------------------------------

workplace.follow(`inbox:${texts.me}`, (documents, frame) => {
  counts = documents.get("counts") ?? null;
  drawViews();
  if (frame?.snapshot === undefined) list.refresh();
});
workplace.follow("inbox", () => list.draw());
// What another machine of the house has written is heard of a little later.
setInterval(() => document.hidden || list.refresh(), LOOK_MS);
mountOffers(find("offers"), workplace, open);

// ---- finding and taking --------------------------------------------------------------------------

let timer = 0;
find("find").addEventListener("input", (event) => {
  clearTimeout(timer);
  timer = setTimeout(() => choose({ ...view, find: event.target.value.trim() }), PAUSE_MS);
});
find("find-form").addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  choose({ ...view, find: find("find").value.trim() });
});

async function takeNext() {
  try {
    const { id } = await post("/api/conversations/next");
    if (id === null) workplace.say(words.nothing_waits);
    else {
      await choose({ view: "mine", queue: "", find: "" });
      open(id);
    }
  } catch (error) {
    workplace.say(error instanceof Refused ? error.message : texts.try_again);
  }
}
find("take-next").addEventListener("click", takeNext);

// ---- keys ----------------------------------------------------------------------------------------

const { keys } = words;
workplace.command({ id: "inbox-next", title: keys.take_next, keys: "Shift+N", run: takeNext });
workplace.command({ id: "inbox-down", title: keys.down, keys: "j", run: () => list.go(1) });
workplace.command({ id: "inbox-up", title: keys.up, keys: "k", run: () => list.go(-1) });
workplace.command({ id: "inbox-find", title: keys.find, keys: "f", run: () => find("find").focus() });
workplace.command({
  id: "inbox-list",
  title: keys.back,
  keys: "u",
  when: () => conversation.id !== null,
  run: close,
});
const nextFound = latest();
workplace.findable(
  async (text) => {
    const { conversations } = await get("/api/conversations", { view: "all", find: text }, { signal: nextFound() });
    return conversations.slice(0, 8).map((line) => ({
      id: `conversation:${line.id}`,
      group: "conversation",
      title: line.customer_name || line.shown_address,
      detail: line.subject || line.preview,
      icon: line.channel,
      run: () => open(line.id),
    }));
  },
  { asked: true },
);

const asked = new URLSearchParams(location.search);
await choose({
  view: titles[asked.get("view")] ? asked.get("view") : "mine",
  queue: words.queues[asked.get("queue")] ? asked.get("queue") : "",
  find: asked.get("find") ?? "",
});
follow();
