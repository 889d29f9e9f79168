// Two dialogs of the phone: where to (a colleague with their live state, a queue, any number), and the
// keypad that keys tones into a call.

import { el, icon, name, show, texts as pageTexts, textsOf } from "./elements.js";
import { Refused } from "./requests.js";

const texts = textsOf("phone");

class Dialog {
  constructor(dialog) {
    this.dialog = dialog;
    dialog.querySelector("[data-closes]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
}

export class WhereTo extends Dialog {
  #workplace;
  #field;
  #problem;
  #verbs = [];
  #ringing = null;
  #agents = new Map();
  #stop = null;

  constructor(dialog, workplace) {
    super(dialog);
    this.#workplace = workplace;
    this.#field = dialog.querySelector("[data-to-field]");
    this.#problem = dialog.querySelector("[data-to-problem]");
    this.#field.addEventListener("input", () => this.#draw());
    dialog.querySelector("[data-to-form]").addEventListener("submit", (event) => {
      event.preventDefault();
      const to = this.#field.value.trim();
      const [first] = this.#found();
      if (first && !/\d/.test(to)) this.#run(this.#verbs[0], first.agent, first.name);
      else if (to) this.#run(this.#verbs[0], to, "");
    });
    dialog.addEventListener("close", () => this.#stop?.());
  }

  /**
   * verbs: [{id, icon, run(to, name)}]; the first one is what Enter does. `ringing` is one more, for
   * a colleague whose phone rings.
   */
  open({ title, verbs, ringing = null }) {
    this.#verbs = verbs;
    this.#ringing = ringing;
    this.dialog.querySelector("[data-to-title]").textContent = title;
    this.#field.value = "";
    this.#problem.hidden = true;
    this.#stop = this.#workplace.follow("agents", (documents) => {
      this.#agents = documents;
      this.#draw();
    });
    this.#draw();
    this.dialog.showModal();
    this.#field.focus();
  }

  #found() {
    const wanted = this.#field.value.trim().toLocaleLowerCase();
    const rank = { available: 0, on_call: 2, offline: 4 };
    return [...this.#agents.values()]
      .filter((agent) => agent.agent !== pageTexts.me)
      .filter((agent) => `${agent.name} ${agent.agent}`.toLocaleLowerCase().includes(wanted))
      .sort(
        (a, b) =>
          (rank[a.state] ?? 1) - (rank[b.state] ?? 1) || a.name.localeCompare(b.name, pageTexts.language),
      );
  }

  #draw() {
    const typed = this.#field.value.trim();
    const found = this.#found();
    const number = /\d/.test(typed);
    const ids = this.#verbs.map((verb) => verb.id);
    show(this.dialog.querySelector("[data-to-free]"), [number, ids], () =>
      number ? this.#buttons(() => this.#field.value.trim(), "") : [],
    );
    show(
      this.dialog.querySelector("[data-to-colleagues]"),
      [found.map((agent) => [agent.agent, agent.name, agent.state, agent.reason]), ids, number],
      () =>
        found.length || number
          ? found.map((agent) => this.#colleague(agent))
          : el("li", { class: "muted" }, texts.nobody_fits),
    );
    show(this.dialog.querySelector("[data-to-queues]"), [typed, ids], () =>
      Object.entries(pageTexts.queues)
        .filter(([, title]) => title.toLocaleLowerCase().includes(typed.toLocaleLowerCase()))
        .map(([queue, title]) =>
          el("li", {}, el("span", { class: "to-name" }, title), ...this.#buttons(() => queue, title)),
        ),
    );
  }

  #colleague(agent) {
    const reason = pageTexts.pause_reasons?.[agent.reason];
    const state = agent.state === "paused" && reason ? reason : pageTexts.state[agent.state];
    return el(
      "li",
      { "data-state": agent.state, "data-agent": agent.agent },
      el("span", { class: "dot", "aria-hidden": "true" }),
      el("span", { class: "to-name" }, name(agent.name), " ", el("span", { class: "muted" }, state)),
      ...this.#buttons(
        () => agent.agent,
        agent.name,
        agent.state === "ringing" && this.#ringing ? [this.#ringing, ...this.#verbs] : this.#verbs,
      ),
    );
  }

  #buttons(to, who, verbs = this.#verbs) {
    return verbs.map((verb, place) =>
      el(
        "button",
        {
          type: "button",
          class: place === 0 && verbs.length === 1 ? "button button-main" : "button",
          "data-to-verb": verb.id,
          onclick: () => this.#run(verb, to(), who),
        },
        icon(verb.icon),
        texts.verb[verb.id],
        who ? el("span", { class: "unseen" }, ` ${who}`) : null,
      ),
    );
  }

  async #run(verb, to, who) {
    this.#problem.hidden = true;
    try {
      const done = verb.run(to, who);
      // A transfer may take its time to be answered; a call that is refused says so here.
      await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1500))]);
      done.catch?.((error) => this.dialog.open || this.#workplace.say(words(error)));
      this.dialog.close();
    } catch (error) {
      this.#problem.textContent = words(error);
      this.#problem.hidden = false;
    }
  }
}

function words(error) {
  if (!(error instanceof Refused)) console.error(error);
  return error instanceof Refused ? (texts[error.message] ?? error.message) : texts.cause.failed;
}

export class Keypad extends Dialog {
  #leg = null;
  #typed;

  constructor(dialog) {
    super(dialog);
    this.#typed = dialog.querySelector("[data-keypad-typed]");
    dialog.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !/^[0-9*#]$/.test(event.key)) return;
      event.preventDefault();
      this.#press(event.key);
    });
    for (const button of dialog.querySelectorAll("[data-key]")) {
      button.addEventListener("click", () => this.#press(button.dataset.key));
    }
  }

  open(leg) {
    this.#leg = leg;
    this.#typed.textContent = "\u00a0";
    this.dialog.showModal();
  }

  #press(key) {
    if (!this.#leg.live) {
      this.dialog.close();
      return;
    }
    this.#leg.keypad(key);
    this.#typed.textContent = (this.#typed.textContent.trim() + key).slice(-24);
  }
}
