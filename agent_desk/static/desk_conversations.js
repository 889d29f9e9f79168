// The agent's conversations beside the call: what is offered, what they have, and a soft tone when the
// customer of one writes again. The inbox itself is a page of its own.

import { mountOffers, sound } from "./conversation_offers.js";
import { el, show, texts } from "./elements.js";
import { lineOf, whoWrites } from "./inbox_list.js";
import { clockOf, filled, words } from "./inbox_words.js";
import { post, Refused } from "./requests.js";
import { visit } from "./shell.js";

const CLOCKS_MS = 10_000;

export function mount(place, workplace) {
  const list = place.querySelector("[data-own-conversations]");
  const count = document.querySelector("[data-tab-count=conversations]");
  const open = (id) => visit(`/inbox?view=mine#${id}`);
  let own = [];
  let told = null;

  const draw = () => {
    const lines = own.map((line) => [line, clockOf(line)]);
    if (count) count.textContent = own.length || "";
    show(list, lines, () =>
      lines.length === 0
        ? el("li", { class: "empty-line" }, words.empty_view)
        : lines.map(([line, clock]) => lineOf(line, clock, [], false)),
    );
  };

  mountOffers(place.querySelector("[data-offers]"), workplace, open, pop);
  workplace.follow(`inbox:${texts.me}`, (documents) => {
    own = [...documents]
      .filter(([key]) => key.startsWith("mine:"))
      .map(([, line]) => line)
      .sort((a, b) => (a.waiting_since ?? Infinity) - (b.waiting_since ?? Infinity));
    draw();
    // Before the first look of the server nothing is known, and so nothing is new.
    if (!documents.has("counts")) return;
    const waits = new Map(own.filter((line) => line.waiting_since).map((line) => [line.id, line.last_message_at]));
    if (told !== null) for (const [id, at] of waits) if ((told.get(id) ?? 0) < at) writesAgain(id);
    told = waits;
  });
  setInterval(draw, CLOCKS_MS);

  function writesAgain(id) {
    const line = own.find((one) => one.id === id);
    sound.play("written");
    workplace.say(filled(words.writes, { who: whoWrites(line), text: line.preview }));
  }

  /** An offer stands before the agent as a call does, wherever on the desk they look. */
  function pop(offer, accept) {
    const toast = el(
      "div",
      { class: "toast toast-callback toast-written", "data-pop": offer.id },
      el("strong", { dir: "auto" }, whoWrites(offer)),
      el("span", {}, texts.segment[offer.segment] ?? words.not_known),
      el("span", { class: "toast-text", dir: "auto" }, offer.preview),
      el("button", { type: "button", class: "button button-small", onclick: () => accept(offer) }, words.open),
    );
    document.querySelector("[data-toasts]").append(toast);
    return () => toast.remove();
  }

  list.addEventListener("click", (event) => {
    const line = event.target.closest("[data-id]");
    if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(Number(line.dataset.id));
  });
  const takeNext = async () => {
    try {
      const { id } = await post("/api/conversations/next");
      if (id === null) workplace.say(words.nothing_waits);
      else open(id);
    } catch (error) {
      workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
  };
  place.querySelector("[data-take-next]").addEventListener("click", takeNext);
  workplace.command({ id: "inbox-next", title: words.keys.take_next, keys: "Shift+N", run: takeNext });
}
