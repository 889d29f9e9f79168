// What a customer did without a person: the phone menu, the survey, a place kept for a callback, and
// what became of an order.

import { el, name, texts } from "./elements.js";
import { languageBadge, topicPath, trail } from "./menu_trail.js";
import { duration } from "./moments.js";
import { days, exact, facts, filled, moment, words } from "./story_parts.js";

const UNANSWERED = ["waiting", "joined"];

/** A visit of the phone menu: a line that opens to all that was heard and keyed. */
export function menuVisit(visit) {
  if (visit.menu === "survey") return null;
  const title = texts.menu[visit.menu] ?? texts.menu.time;
  const head = [
    el("span", { class: "visit-title" }, filled(title, { time: duration(visit.seconds) })),
    languageBadge(visit.language),
    topicPath(visit.trail, visit.left_to),
  ];
  if (visit.trail.length === 0) return el("p", { class: "menu-visit menu-visit-bare" }, ...head);
  return el(
    "details",
    { class: "menu-visit" },
    el("summary", {}, ...head),
    trail(visit.trail, visit.language),
  );
}

/** What the customer thinks of the call, question by question. */
export function survey(found) {
  if (found.agreed === false) return facts(words.survey_declined);
  if (found.answers.length === 0) return null;
  return el(
    "dl",
    { class: "survey" },
    ...found.answers.map(([question, value]) =>
      el("div", {}, el("dt", { dir: "auto" }, question), el("dd", {}, ...stars(value))),
    ),
  );
}

/** One to five stars, as a picture and as words. */
export const stars = (value) => [
  el(
    "span",
    { class: "stars", "aria-hidden": "true" },
    "★".repeat(value),
    el("span", { class: "stars-not" }, "★".repeat(5 - value)),
  ),
  el("span", { class: "unseen" }, filled(words.said, { stars: value })),
];

/** The customer is called in their turn, by nobody's doing. */
export const isKept = (kept) => UNANSWERED.includes(kept?.state);

/** The place that a caller kept: since when, what was tried, what comes next. */
export function keptPlace(kept, at) {
  const open = isKept(kept);
  const said = words.kept[kept.state] ?? "";
  return facts(
    filled(said, { time: moment(kept.arrived_at, at), who: kept.agent ?? "" }),
    kept.tries > 0 && open && filled(words.kept_tries, { count: kept.tries }),
    words.kept_outcome[kept.outcome],
    open && new Date(kept.not_before) > new Date()
      ? filled(words.kept_next, { time: moment(kept.not_before, new Date()) })
      : null,
  );
}

/** An order: what and how much at once, its goods and its way when it is opened. */
export function order(entry) {
  const [first, ...others] = entry.lines;
  const title = first
    ? first.title + (others.length ? ` ${filled(words.and_more, { count: others.length })}` : "")
    : words.one.order;
  const expected = entry.expected_on && !["delivered", "cancelled", "returned"].includes(entry.state);
  return {
    title,
    badges: [words.one.order, words.order_state[entry.state]],
    parts: [
      facts(
        el("bdi", { dir: "ltr" }, entry.shown_number),
        name(entry.shown_total),
        expected && filled(words.expected, { day: days.format(new Date(`${entry.expected_on}T12:00`)) }),
      ),
      el(
        "details",
        { class: "menu-visit" },
        el(
          "summary",
          {},
          el("span", { class: "visit-title" }, words.goods),
          way(entry.states),
        ),
        el(
          "table",
          { class: "order-lines" },
          el(
            "tbody",
            {},
            ...entry.lines.map((line) =>
              el(
                "tr",
                {},
                el("th", { scope: "row" }, name(line.title)),
                el("td", { dir: "ltr" }, `× ${line.quantity}`),
                el("td", {}, name(line.shown_price)),
              ),
            ),
          ),
        ),
      ),
    ],
  };
}

const way = (states) =>
  el(
    "span",
    { class: "keyed-path" },
    ...states.map(({ state, at }) =>
      el(
        "span",
        { class: "step", title: exact.format(new Date(at)) },
        name(words.order_state[state]),
        " ",
        el("bdi", { class: "step-day" }, days.format(new Date(at))),
      ),
    ),
  );
