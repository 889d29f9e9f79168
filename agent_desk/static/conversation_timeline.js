// The line of time of a conversation: messages of all channels, notes, and the calls in between. What
// has not changed stays as it stands, so that an opened letter stays open.

import { el, icon, name, texts } from "./elements.js";
import { exactMoment, hourOf, iso, words } from "./inbox_words.js";
import { messageEntry } from "./message_view.js";
import { duration } from "./moments.js";
import { filled } from "./inbox_words.js";

const language = document.documentElement.lang;
const near = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const thisYear = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(language, { dateStyle: "long" });
const drawn = new WeakMap();

export function drawTimeline(place, line, entries, hasOlder) {
  const rows = new Map([...place.children].map((row) => [row.dataset.key, row]));
  const wanted = [];
  if (hasOlder) wanted.push(["older", null, older]);
  let day = "";
  for (const entry of entries) {
    const its = new Date(entry.at * 1000).toDateString();
    if (its !== day) wanted.push([`day ${its}`, its, () => dayLine(entry.at)]);
    day = its;
    wanted.push([entry.key, entry, () => (entry.kind === "call" ? callLine(entry) : messageEntry(entry, line))]);
  }
  let before = null;
  for (const [key, content, build] of wanted) {
    const signature = JSON.stringify(content);
    let row = rows.get(key);
    if (!row || drawn.get(row) !== signature) {
      const fresh = build();
      fresh.dataset.key = key;
      drawn.set(fresh, signature);
      row?.remove();
      row = fresh;
    }
    rows.delete(key);
    const next = before ? before.nextSibling : place.firstChild;
    // A row that stays must not be moved: a letter's frame would load anew.
    if (next !== row) place.insertBefore(row, next);
    before = row;
  }
  for (const row of rows.values()) row.remove();
}

function older() {
  return el(
    "p",
    { class: "timeline-older" },
    el("button", { type: "button", class: "button button-small", "data-do": "older" }, words.older),
  );
}

function dayLine(at) {
  const day = new Date(at * 1000);
  return el("h3", { class: "timeline-day", title: otherYear.format(day) }, dayName(day));
}

/** Today, yesterday, else the date; its year where it is not this one. */
function dayName(day) {
  const today = new Date();
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day.toDateString() === today.toDateString()) return near.format(0, "day");
  if (day.toDateString() === yesterday.toDateString()) return near.format(-1, "day");
  return (day.getFullYear() === today.getFullYear() ? thisYear : otherYear).format(day);
}

/** A call of the same person, folded to a line: what was said there is in the story. */
function callLine(call) {
  const told = [
    texts.direction[call.direction],
    call.agent_name,
    call.talk_s ? filled(words.talked, { time: duration(call.talk_s) }) : words.outcome[call.outcome],
    texts.dispositions?.[call.disposition],
  ].filter(Boolean);
  return el(
    "p",
    { class: "timeline-call" },
    icon("phone", texts.channel.phone),
    el("span", { class: "timeline-call-told" }, told.join(" · ")),
    call.summary ? el("span", { dir: "auto" }, name(call.summary)) : null,
    el("time", { datetime: iso(call.at), title: exactMoment(call.at) }, hourOf(call.at)),
  );
}
