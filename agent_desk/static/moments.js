// Moments and durations as the reader's language writes them, and timers that count by themselves.

import { put, texts } from "./elements.js";

const language = document.documentElement.lang;
const digits = new Intl.NumberFormat(language, { minimumIntegerDigits: 2, useGrouping: false });
const whole = new Intl.NumberFormat(language, { useGrouping: false });
const points = new Intl.NumberFormat(language, {
  minimumFractionDigits: 2,
  trailingZeroDisplay: "stripIfInteger",
});
const sameDay = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const otherDay = new Intl.DateTimeFormat(language, {
  year: "numeric",
  month: "short",
  day: "numeric",
});

/** Seconds as 1:23 or 1:02:03. */
export function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor((s % 3600) / 60);
  const rest = `${hours ? digits.format(minutes) : whole.format(minutes)}:${digits.format(s % 60)}`;
  return hours ? `${whole.format(hours)}:${rest}` : rest;
}

/** The time of day if it was today, else the date. */
export function moment(text) {
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? sameDay.format(at) : otherDay.format(at);
}

/** Moments that the server wrote in its own zone, in this computer's. */
export function makeLocal(place) {
  for (const time of place.querySelectorAll("time[datetime]")) {
    const at = new Date(time.getAttribute("datetime"));
    time.textContent = `${otherDay.format(at)}, ${sameDay.format(at)}`;
  }
}

export const number = (value) => whole.format(value);
export const shownPoints = (hundredths) => points.format(hundredths / 100);

/** Let `element` count from a moment (seconds since 1970); null empties it. */
export function count(element, since) {
  if (since === null || since === undefined) {
    delete element.dataset.since;
    element.textContent = "";
  } else if (element.dataset.since !== String(since)) {
    element.dataset.since = since;
    tick(element);
  }
}

// A computer's clock may be wrong by minutes; the server said its own when it made the page.
const ahead = texts.now ? performance.timeOrigin / 1000 - texts.now : 0;

/** Seconds since 1970 by the server's clock. */
export const serverNow = () => Date.now() / 1000 - ahead;

function tick(element) {
  put(element, duration(serverNow() - Number(element.dataset.since)));
}

setInterval(() => {
  for (const element of document.querySelectorAll("[data-since]")) tick(element);
}, 1000);
