// The head of a conversation: who it is with, how it stands, and what can be done with it.

import { badge } from "./customer_view.js";
import { el, icon, name, show, texts } from "./elements.js";
import { clockBadge, person, whoWrites } from "./inbox_list.js";
import { clockOf, filled, shownMoment, words } from "./inbox_words.js";

const MOST_ALSO_OPEN = 3;
const LONGEST_TITLE = 60;

export function drawHead(place, line, acts) {
  show(place, [line, clockOf(line)], () => [
    who(line, acts),
    ...suggestions(line, acts),
    ...alsoOpen(line, acts),
    bar(line, acts),
  ]);
}

function who(line, acts) {
  const clock = clockOf(line);
  const people = whoWrites(line);
  const shown = line.customer_id
    ? el("a", { href: `/customers/${line.customer_id}`, target: "_blank" }, name(people))
    : name(people);
  return el(
    "div",
    { class: "conversation-who" },
    el("button", { type: "button", class: "icon-button conversation-back", "data-act": "back", "aria-label": words.back }, icon("back")),
    el("span", { class: "avatar", "data-segment": line.segment, "aria-hidden": "true" }, [...people][0] ?? ""),
    el(
      "div",
      { class: "conversation-names" },
      el("h2", {}, shown, line.segment ? badge(line.segment) : null),
      el(
        "p",
        { class: "muted" },
        icon(line.channel, texts.channel[line.channel]),
        " ",
        people === line.shown_address ? null : el("bdi", { dir: "ltr" }, line.shown_address),
        line.customer_id ? null : el("span", { class: "badge" }, words.not_known),
        line.language ? el("span", { class: "badge" }, texts.languages[line.language] ?? line.language) : null,
        ...says(line, acts),
      ),
      line.subject ? el("p", { class: "conversation-subject", dir: "auto", title: line.subject }, line.subject) : null,
    ),
    el(
      "p",
      { class: "badges conversation-state" },
      el("span", { class: "badge", "data-conversation-state": line.state }, words.states[line.state]),
      clock ? clockBadge(clock) : null,
      line.queue ? el("span", { class: "badge" }, name(texts.queues[line.queue] ?? line.queue)) : null,
      ...line.tags.map((tag) => el("span", { class: "badge tag" }, name(tag))),
      line.assigned_to
        ? person(line.assigned_to, words.assigned_to)
        : el("span", { class: "badge" }, words.unassigned),
    ),
  );
}

/** What a chat's visitor says of themselves: their word, and nobody's proof. */
function says({ visitor, channel }, acts) {
  if (!visitor) return [];
  const said = [visitor.name, visitor.mail, visitor.phone].filter(Boolean);
  const page = visitor.page_title || visitor.page;
  return [
    said.length ? el("span", {}, words.says, " ", name(said.join(", "))) : null,
    page ? el("span", { class: "conversation-page", dir: "auto", title: visitor.page }, filled(words.on_page, { page })) : null,
    visitor.is_proven ? el("span", { class: "badge" }, words.proven) : null,
    ...(visitor.is_proven || channel !== "chat" ? [] : asking(visitor, acts)),
  ];
}

function asking(visitor, acts) {
  return [
    visitor.asked_at ? el("span", { class: "badge" }, filled(words.asked_who, { time: shownMoment(visitor.asked_at) })) : null,
    el("button", { type: "button", class: "button button-small", title: words.ask_who_hint, onclick: acts.askWho }, words.ask_who),
  ];
}

/** What else is unsettled with the same person: one click to read it, one to make one of both. */
function alsoOpen(line, acts) {
  if (line.also_open.length === 0) return [];
  const shown = line.also_open.slice(0, MOST_ALSO_OPEN);
  return [
    el(
      "div",
      { class: "notice conversation-suggestion" },
      el("span", {}, words.also_open),
      ...shown.map((other) => also(other, acts)),
    ),
  ];
}

function also(other, acts) {
  const title = other.subject || other.preview || whoWrites(other);
  const shortened = title.length > LONGEST_TITLE ? `${title.slice(0, LONGEST_TITLE)}…` : title;
  return el(
    "span",
    { class: "badges", "data-also-open": other.id },
    icon(other.channel, texts.channel[other.channel]),
    el("a", { href: `/inbox#${other.id}`, onclick: (event) => acts.open(event, other.id) }, name(shortened)),
    el("span", { class: "muted" }, shownMoment(other.last_message_at)),
    el("button", { type: "button", class: "button button-small", title: words.join_hint, onclick: () => acts.join(other) }, words.join),
  );
}

/** Somebody whom the writer may be: offered, and never done by itself. */
function suggestions(line, acts) {
  return line.suggestions.map((one) =>
    el(
      "p",
      { class: "notice conversation-suggestion" },
      el("span", {}, filled(words.may_be, { who: one.name, why: one.reason })),
      el("a", { href: `/customers/${one.customer_id}`, target: "_blank" }, words.look),
      el("button", { type: "button", class: "button button-small", onclick: () => acts.decide(one.id, true) }, words.it_is_them),
      el("button", { type: "button", class: "button button-small", onclick: () => acts.decide(one.id, false) }, words.it_is_not),
    ),
  );
}

function bar(line, acts) {
  const act = (id, picture, title, key = "") =>
    el(
      "button",
      { type: "button", class: "button button-small", "data-act": id, title: key ? `${title} (${key})` : title },
      picture ? icon(picture) : null,
      title,
    );
  const more = (id, title) =>
    el("button", { type: "button", class: "menu-line", "data-act": id }, title);
  const open = line.state !== "closed" && line.state !== "spam";
  const mine = line.assigned_to === texts.me;
  return el(
    "div",
    { class: "conversation-acts", role: "toolbar", "aria-label": words.acts.all },
    open && !mine ? act("take", "person", words.acts.take, "A") : null,
    open && mine ? act("release", "queue", words.acts.release) : null,
    act("assign", "people", words.acts.assign),
    open && line.state !== "snoozed" ? act("snooze", "clock", words.acts.snooze, "Z") : null,
    line.state === "snoozed" ? act("wake", "clock", words.acts.wake, "Z") : null,
    act("tags", "plus", words.acts.tag, "T"),
    open ? act("close", "note", words.acts.close, "E") : act("reopen", "redial", words.acts.reopen, "E"),
    act("next", "onward", words.acts.next, "."),
    el(
      "details",
      { class: "menu conversation-more" },
      el("summary", { class: "button button-small" }, words.acts.more),
      el(
        "div",
        { class: "menu-panel" },
        more("customer", words.acts.customer),
        more("merge", words.acts.merge),
        line.merges.length ? more("unmerge", words.acts.unmerge) : null,
        more("split", words.acts.split),
        line.state === "spam" ? more("reopen", words.acts.no_spam) : more("spam", words.acts.spam),
      ),
    ),
  );
}
