// The list of conversations: one view at a time, kept true while it is looked at.

import { badge } from "./customer_view.js";
import { el, icon, name, show, texts } from "./elements.js";
import { get, latest } from "./requests.js";
import { clockOf, exactMoment, iso, shownMoment, words } from "./inbox_words.js";

const CLOCKS_MS = 10_000;
const AGAIN_MS = 400;

export class InboxList {
  lines = [];
  #place;
  #older;
  #open;
  #next = latest();
  #wish = null;
  #cursor = null;
  #shownId = null;
  #looking = () => [];
  #again = 0;

  /** `open(id)` shows a conversation; `looking(id)` tells who else has it open. */
  constructor(place, older, open, looking) {
    this.#place = place;
    this.#older = older;
    this.#open = open;
    this.#looking = looking;
    older.addEventListener("click", () => this.#load(this.#cursor));
    place.addEventListener("click", (event) => {
      const line = event.target.closest("[data-id]");
      if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      open(Number(line.dataset.id));
    });
    setInterval(() => this.draw(), CLOCKS_MS);
  }

  /** Show the conversations of this view: {view, queue, find}. */
  async choose(wish) {
    this.#wish = wish;
    this.#place.setAttribute("aria-busy", "true");
    await this.#load(null);
  }

  /** Something has changed somewhere: look again, but not at every letter that comes. */
  refresh() {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#wish && this.#load(null, true), AGAIN_MS);
  }

  /** The conversation that is open. */
  mark(id) {
    this.#shownId = id;
    this.draw();
    this.#place.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" });
  }

  /** The id `step` lines below the open one, or the first; null where there is none. */
  beside(step) {
    const place = this.lines.findIndex((line) => line.id === this.#shownId);
    const wanted = place === -1 ? 0 : place + step;
    return this.lines[wanted]?.id ?? null;
  }

  go(step) {
    const id = this.beside(step);
    if (id !== null) this.#open(id);
  }

  async #load(before, quietly = false) {
    const signal = this.#next();
    const wish = { ...this.#wish, ...(before ? { before } : {}) };
    // Whoever has asked for older ones keeps them while the newest change.
    if (quietly && this.lines.length > 50) wish.limit = Math.min(200, this.lines.length);
    let answer;
    try {
      answer = await get("/api/conversations", wish, { signal });
    } catch (error) {
      if (signal.aborted || quietly) return;
      this.#place.replaceChildren(el("li", { class: "empty-line", role: "alert" }, error.message));
      return;
    } finally {
      if (!signal.aborted) this.#place.removeAttribute("aria-busy");
    }
    this.lines = before ? [...this.lines, ...answer.conversations] : answer.conversations;
    this.#cursor = answer.older;
    this.#older.hidden = answer.older === null;
    this.draw();
  }

  draw() {
    if (this.#wish === null) return;
    const shown = this.lines.map((line) => [line, clockOf(line), this.#looking(line.id), line.id === this.#shownId]);
    const had = document.activeElement?.closest?.("[data-id]")?.dataset.id;
    const drawn = show(this.#place, [shown, this.#wish.find], () =>
      shown.length === 0
        ? el("li", { class: "empty-line" }, this.#wish.find ? words.nothing_found : words.empty_view)
        : shown.map((one) => lineOf(...one)),
    );
    if (drawn && had && document.activeElement === document.body) {
      this.#place.querySelector(`[data-id="${had}"]`)?.focus();
    }
  }
}

/** Who writes, as well as it is known. */
export function whoWrites(line) {
  return line.customer_name || line.sender_name || line.shown_address || words.unknown;
}

/** A conversation as a line of a list. */
export function lineOf(line, clock, looking, open) {
  const queue = texts.queues[line.queue] ?? line.queue;
  return el(
    "li",
    { class: "inbox-line", "data-state": line.state, "data-waits": String(line.waiting_since !== null) },
    el(
      "a",
      { href: `/inbox#${line.id}`, "data-id": line.id, ...(open ? { "aria-current": "true" } : {}) },
      el("span", { class: "past-channel", "data-channel": line.channel }, icon(line.channel, texts.channel[line.channel])),
      el(
        "span",
        { class: "inbox-line-body" },
        el(
          "span",
          { class: "inbox-line-head" },
          el("strong", { dir: "auto" }, whoWrites(line)),
          line.segment && line.segment !== "ordinary" ? badge(line.segment) : null,
          el("time", { datetime: iso(line.last_message_at), title: exactMoment(line.last_message_at) }, shownMoment(line.last_message_at)),
        ),
        el("span", { class: "inbox-line-subject", dir: "auto" }, line.subject || line.preview || words.no_subject),
        line.subject ? el("span", { class: "inbox-line-preview muted", dir: "auto" }, line.preview) : null,
        el(
          "span",
          { class: "inbox-line-foot" },
          clock ? clockBadge(clock) : null,
          queue ? el("span", { class: "badge" }, name(queue)) : null,
          ...line.tags.map((tag) => el("span", { class: "badge tag" }, name(tag))),
          line.assigned_to ? person(line.assigned_to, words.assigned_to) : null,
          ...looking.map((one) => person(one.agent, one.typing ? words.types_now : words.looks_now, one.typing ? "typing" : "looking", one.name)),
        ),
      ),
    ),
  );
}

export function clockBadge(clock) {
  return el("span", { class: "badge clock", "data-clock": clock.state }, icon("clock"), clock.text);
}

/** A colleague as a letter; the whole name and what they do is said and shown on pointing. */
export function person(login, doing, state = "assigned", shownName = null) {
  const whole = shownName ?? words.people[login] ?? login;
  const said = doing.replace("%(who)s", whole);
  return el(
    "span",
    { class: "avatar avatar-small", "data-doing": state, role: "img", "aria-label": said, title: said },
    [...whole][0] ?? "",
  );
}
