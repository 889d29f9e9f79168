// The inbox's words, and how its moments and clocks are said.

import { textsOf } from "./elements.js";
import { moment, serverNow } from "./moments.js";

export const words = textsOf("inbox");

const language = document.documentElement.lang;
const unit = (name) =>
  new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short", maximumFractionDigits: 0 });
const UNITS = [
  [86_400, unit("day")],
  [3_600, unit("hour")],
  [60, unit("minute")],
];
const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(language, {
  weekday: "short",
  hour: "2-digit",
  minute: "2-digit",
});

export const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (_, key) => values[key]);

/** A length of time in one unit, as a clock at a glance says it. */
export function length(seconds) {
  const [size, format] = UNITS.find(([one]) => seconds >= one) ?? UNITS[2];
  return format.format(Math.max(seconds > 0 ? 1 : 0, Math.round(seconds / size)));
}

const at = (seconds) => new Date(seconds * 1000);
export const shownMoment = (seconds) => moment(at(seconds));
export const exactMoment = (seconds) => exact.format(at(seconds));
export const hourOf = (seconds) => hour.format(at(seconds));
export const iso = (seconds) => at(seconds).toISOString();

/** A moment of the days to come. */
export function ahead(seconds) {
  const days = (at(seconds) - Date.now()) / 86_400_000;
  if (at(seconds).toDateString() === new Date().toDateString()) return hour.format(at(seconds));
  return days < 6 ? weekday.format(at(seconds)) : exact.format(at(seconds));
}

const SOON = 0.2;
const SOON_SECONDS = 300;

/**
 * What a conversation's targets say now: {kind, state: "late" | "soon" | "due" | "off", text}, or
 * null where nothing runs.
 */
export function clockOf(line) {
  if (line.state === "snoozed" && line.snoozed_until) {
    return { kind: "snoozed", state: "off", text: filled(words.clock.snoozed, { time: ahead(line.snoozed_until) }) };
  }
  if (line.state === "closed" || line.state === "spam") return null;
  const first = line.first_answered_at === null && line.first_answer_due_at !== null;
  const kind = first ? "first_answer" : "resolution";
  const due = first ? line.first_answer_due_at : line.resolution_due_at;
  if (due === null) return null;
  const left = due - serverNow();
  const soon = Math.max(SOON_SECONDS, SOON * (due - line.opened_at));
  const state = left < 0 ? "late" : left < soon ? "soon" : "due";
  const said = words.clock[left < 0 ? `${kind}_late` : kind];
  return { kind, state, text: filled(said, { time: length(Math.abs(left)) }) };
}
