// The call at the top of the desk: who, on which queue, for how long; the others beside it; and what
// an offer does to the title, the notification and the screen reader.

import { el, name, show, texts } from "./elements.js";
import { count, moment } from "./moments.js";
import { whyOf } from "./state_menu.js";
import { whoIs } from "./workplace.js";

const title = document.title;
// The caller's name follows the offer; one who cannot be looked up is told of by number.
const NAME_COMES_MS = 1_500;

export function mount(place, workplace) {
  const part = (which) => place.querySelector(`[data-call-${which}]`);
  const announce = announcer(document.querySelector("[data-said]"), workplace);
  let heard = null;
  workplace.listen(({ call, pop, calls, state, phone }) => {
    place.dataset.state = call?.state ?? "none";
    const hint =
      (state && whyOf(state)) || texts.no_call_hint[state?.state] || texts.no_call_hint.available;
    const who = call ? whoIs(call, pop) : hint;
    show(part("name"), [call !== null, who], () => (call ? name(who) : hint));
    const said = call ? stateOf(call, pop) : texts.no_call;
    show(part("state"), said, () => said);
    const about = [who, pop?.shown_number, call?.shown_caller, call?.queue, askedAt(pop)];
    show(part("detail"), about, () => detail(call, pop));
    count(part("timer"), call ? (call.ended_at ?? call.answered_at ?? call.offered_at) : null);
    drawOthers(part("others"), workplace);
    if (phone !== null && phone !== heard) {
      heard = phone;
      phone.listen(() => drawOthers(part("others"), workplace));
    }
    announce(calls);
  });
}

/** When the customer asked for the callback that this is; null for any other call. */
const askedAt = (pop) => pop?.callback_asked_at ?? null;

function stateOf(call, pop) {
  const said = texts.call[call.state] ?? call.state;
  if (askedAt(pop) === null) return said;
  return call.state === "offered" ? texts.callback.offered : `${texts.callback.called} · ${said}`;
}

function detail(call, pop) {
  if (!call) return "\u00a0";
  const who = whoIs(call, pop);
  const number = pop?.shown_number || call.shown_caller || texts.withheld;
  const asked = askedAt(pop);
  return [
    // First: a narrow window cuts the end.
    asked === null
      ? ""
      : `${texts.callback.asked_at.replace("%(time)s", moment(asked * 1000))} · `,
    number === who ? "" : el("bdi", { dir: "ltr" }, number),
    number !== who && call.queue ? " · " : "",
    call.queue ? `${texts.via} ` : "\u00a0",
    call.queue ? name(texts.queues[call.queue] ?? call.queue) : "",
  ];
}

const titleOf = (pop) => (askedAt(pop) === null ? texts.offer_title : texts.callback.title);

/** The phone has a row of its own for each call that is spoken on it. */
function hasRow({ pbx, call }, { phone }) {
  return phone?.legs.some((leg) => leg.live && leg.pbx === pbx && leg.call === call) ?? false;
}

function drawOthers(place, workplace) {
  const others = workplace.calls.filter(
    (one) => one !== workplace.call && !hasRow(one, workplace),
  );
  const shown = others.map((call) => [call.key, call.state, whoIs(call, workplace.popOf(call))]);
  show(place, shown, () =>
    shown.map(([key, state, who]) =>
      el(
        "button",
        { type: "button", class: "chip", "data-state": state, onclick: () => workplace.choose(key) },
        state === "ended" ? `${texts.unfinished}: ` : `${texts.call[state] ?? state}: `,
        name(who),
      ),
    ),
  );
}

/** Tells each offer once: title, badge, a notification if nobody looks, and the screen reader. */
function announcer(said, workplace) {
  const announced = new Set();
  const nameless = new Map();
  let notification = null;
  const announce = (calls) => {
    const offers = calls.filter((call) => call.state === "offered");
    const first = offers[0];
    document.title = first
      ? `● ${whoIs(first, workplace.popOf(first))} · ${titleOf(workplace.popOf(first))}`
      : title;
    if (first) navigator.setAppBadge?.(offers.length).catch(() => {});
    else {
      navigator.clearAppBadge?.().catch(() => {});
      notification?.close();
      notification = null;
    }
    for (const call of offers) {
      const pop = workplace.popOf(call);
      if (announced.has(call.key)) continue;
      if ((!pop || pop.looking_up) && nameless.get(call.key) !== "late") {
        if (!nameless.has(call.key)) wait(call.key);
        continue;
      }
      announced.add(call.key);
      const sentence = askedAt(pop) === null ? texts.offer_said : texts.callback.said;
      const text = sentence.replace("%(who)s", whoIs(call, pop));
      said.textContent = text;
      if (document.hidden && window.Notification?.permission === "granted") {
        const body = texts.queues[call.queue] ?? "";
        notification = new Notification(text, { tag: call.key, body });
        notification.onclick = () => window.focus();
      }
    }
    for (const key of announced) {
      if (!offers.some((call) => call.key === key)) announced.delete(key);
    }
    for (const [key, waits] of nameless) {
      if (offers.some((call) => call.key === key)) continue;
      clearTimeout(waits);
      nameless.delete(key);
    }
  };
  const wait = (key) => {
    const late = () => {
      nameless.set(key, "late");
      announce(workplace.calls);
    };
    nameless.set(key, setTimeout(late, NAME_COMES_MS));
  };
  return announce;
}
