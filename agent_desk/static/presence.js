// Who else looks at the same customer: agents see each other, so that two do not do one thing twice.

import { name, put, texts, textsOf } from "./elements.js";

const words = textsOf("story");

/** Say in `place` who follows the topic besides this agent. */
export function showLookers(place, documents) {
  const others = [...documents.values()].filter((one) => one.agent !== texts.me);
  if (others.length === 0) {
    put(place, "");
    return;
  }
  const text = others.length === 1 ? words.looks_too : words.look_too;
  const [before, after] = text.split("%(names)s");
  const names = others.map((one) => one.name).sort();
  const list = new Intl.ListFormat(document.documentElement.lang).format(names);
  const said = before + list + after;
  if (place.textContent !== said) place.replaceChildren(before, name(list), after);
}

/** Follow one customer at a time: look(id), or look(null) for nobody. */
export class Presence {
  #follow;
  #place;
  #stop = () => {};
  #id = null;

  /** `follow(topic, fn)` is the workplace's. */
  constructor(follow, place) {
    this.#follow = follow;
    this.#place = place;
  }

  look(id) {
    if (id === this.#id) return;
    this.#stop();
    this.#id = id;
    put(this.#place, "");
    this.#stop =
      id === null
        ? () => {}
        : this.#follow(`customer:${id}`, (documents) => showLookers(this.#place, documents));
  }
}
