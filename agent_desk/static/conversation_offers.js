// Conversations that are offered to this agent, and those they have: a soft tone, a card, and a button
// that opens it. Used by the inbox and by the desk.

import { badge } from "./customer_view.js";
import { el, icon, name, show, texts } from "./elements.js";
import { whoWrites } from "./inbox_list.js";
import { words } from "./inbox_words.js";
import { count } from "./moments.js";
import { post, Refused } from "./requests.js";
import { PhoneSound } from "./phone_sound.js";

export const sound = new PhoneSound();

/**
 * Show what is offered in `place`; `open(id)` shows a conversation. `pop(offer, accept)`, if any, also
 * shows a new one elsewhere, and gives what takes that away.
 */
export function mountOffers(place, workplace, open, pop = null) {
  let known = null;
  const popped = new Map();
  workplace.follow(`inbox:${texts.me}`, (documents) => {
    if (!documents.has("counts")) return;
    const offers = [...documents]
      .filter(([key]) => key.startsWith("offer:"))
      .map(([, offer]) => offer);
    show(place, offers, () => offers.map((offer) => card(offer, accept)));
    const ids = new Set(offers.map((offer) => offer.id));
    const fresh = known !== null && offers.filter((offer) => !known.has(offer.id));
    for (const [id, away] of popped) {
      if (ids.has(id)) continue;
      away();
      popped.delete(id);
    }
    if (fresh?.length) {
      sound.play("written");
      if (pop === null) workplace.say(words.offered.replace("%(who)s", whoWrites(fresh[0])));
      else for (const offer of fresh) popped.set(offer.id, pop(offer, accept));
    }
    known = ids;
  });

  async function accept(offer) {
    try {
      await post(`/api/conversations/${offer.id}`, { action: "accept" });
      open(offer.id);
    } catch (error) {
      workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
  }
}

function card(offer, accept) {
  const waits = el("span", { class: "timer muted" });
  count(waits, offer.offered_at);
  return el(
    "article",
    { class: "offer", "data-offer": offer.id },
    el("span", { class: "past-channel" }, icon(offer.channel, texts.channel[offer.channel])),
    el(
      "div",
      { class: "offer-body" },
      el("p", {}, el("strong", {}, name(whoWrites(offer))), offer.segment ? badge(offer.segment) : null, waits),
      el("p", { class: "muted", dir: "auto" }, offer.preview),
    ),
    el("button", { type: "button", class: "button button-main button-small", onclick: () => accept(offer) }, words.open),
  );
}
