// What all lines of a story are made of: its words, its moments, and a row of small facts.

import { el, textsOf } from "./elements.js";

const language = document.documentElement.lang;

export const words = textsOf("story");
export const hours = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
export const exact = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
export const days = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });

/** A line of small facts with dots between; each is text or an element. */
export function facts(...found) {
  const kept = found.filter(Boolean).flatMap((fact, place) => (place ? [" · ", fact] : [fact]));
  return kept.length ? el("p", { class: "muted story-facts" }, ...kept) : null;
}

export const free = (text) => text && el("p", { class: "free-text", dir: "auto" }, text);

export const filled = (text, values) => text.replace(/%\((\w+)\)s/g, (_, key) => values[key]);

/** The time of day where it is the same day as `beside`, else the date with it. */
export function moment(text, beside) {
  const at = new Date(text);
  return (at.toDateString() === new Date(beside).toDateString() ? hours : exact).format(at);
}
