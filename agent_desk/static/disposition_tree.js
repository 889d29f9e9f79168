// How a call was settled: a tree that digits go down and Backspace goes up. Knows no call.

import { el, icon, texts } from "./elements.js";

export class DispositionTree {
  #place;
  #trail;
  #roots = [];
  #path = [];
  #chosen = null;
  #onChange;

  /** `trail` shows the way down; onChange(chosen) is told the leaf {code, title, follow_up}. */
  constructor(place, trail, onChange) {
    this.#place = place;
    this.#trail = trail;
    this.#onChange = onChange;
    place.addEventListener("change", (event) => this.#choose(event.target.value));
    place.addEventListener("click", (event) => {
      const branch = event.target.closest("[data-branch]");
      if (branch) this.#down(branch.dataset.branch);
    });
    trail.addEventListener("click", (event) => {
      if (event.target.closest("button")) this.up();
    });
  }

  get chosen() {
    return this.#chosen;
  }

  get isThere() {
    return this.#roots.length > 0;
  }

  get isDeep() {
    return this.#path.length > 0;
  }

  /** Offer these nodes {code, title, children?, follow_up?}; none says that they come later. */
  offer(nodes) {
    this.#roots = nodes;
    this.#path = [];
    this.#choose(null);
    this.#draw();
  }

  /** Choose a leaf by its code, wherever it is; false if it is not offered. */
  pick(code) {
    const path = wayTo(code, this.#roots);
    if (path === null) return false;
    this.#path = path;
    this.#choose(code);
    this.#draw();
    return true;
  }

  /** The key 1 to 9: into that branch, or that leaf. */
  press(digit) {
    const one = this.#place.children[digit - 1];
    const box = one?.querySelector("input");
    if (box) {
      box.checked = true;
      box.focus();
      this.#choose(box.value);
    } else if (one) {
      this.#down(one.dataset.branch);
      this.#place.querySelector("input, button")?.focus();
    }
  }

  up() {
    const left = this.#path.pop();
    this.#choose(null);
    this.#draw();
    this.#place.querySelector(left ? `[data-branch="${CSS.escape(left)}"]` : "input, button")?.focus();
  }

  #down(code) {
    this.#path.push(code);
    this.#draw();
  }

  #choose(code) {
    const leaf = code === null ? null : find(code, this.#roots);
    if (leaf === this.#chosen) return;
    this.#chosen = leaf;
    this.#onChange(leaf);
  }

  #level() {
    let nodes = this.#roots;
    for (const code of this.#path) nodes = nodes.find((one) => one.code === code).children;
    return nodes;
  }

  #draw() {
    const titles = this.#path.map((code) => find(code, this.#roots).title);
    this.#trail.hidden = titles.length === 0;
    this.#trail.replaceChildren(
      el(
        "button",
        { type: "button", class: "menu-line", "aria-label": `${texts.back}: ${titles.join(" › ")}` },
        icon("back"),
        titles.join(" › "),
        el("kbd", { "aria-hidden": "true" }, "⌫"),
      ),
    );
    const nodes = this.#level();
    if (nodes.length === 0) {
      this.#place.replaceChildren(el("p", { class: "muted" }, texts.choices_come));
      return;
    }
    this.#place.replaceChildren(...nodes.map((node, at) => this.#choice(node, at)));
  }

  #choice(node, at) {
    const key = at < 9 ? el("kbd", { "aria-hidden": "true" }, String(at + 1)) : null;
    if (node.children?.length) {
      return el(
        "button",
        { type: "button", class: "disposition", "data-branch": node.code },
        el("span", {}, node.title),
        icon("onward"),
        key,
      );
    }
    const checked = node.code === this.#chosen?.code;
    return el(
      "label",
      { class: "disposition" },
      el("input", { type: "radio", name: "disposition", value: node.code, checked }),
      el("span", {}, node.title),
      key,
    );
  }
}

function find(code, nodes) {
  for (const node of nodes) {
    const found = node.code === code ? node : find(code, node.children ?? []);
    if (found) return found;
  }
  return null;
}

/** The branches above the leaf, or null if it is not there. */
function wayTo(code, nodes) {
  for (const node of nodes) {
    if (node.code === code) return node.children?.length ? null : [];
    const below = wayTo(code, node.children ?? []);
    if (below) return [node.code, ...below];
  }
  return null;
}
