// A customer's story: a timeline by days, newest first, with filters, search, and recordings that
// play in their place. In the desk it is the story of who is calling; on a customer's page, theirs.

import { el, icon, name, texts } from "./elements.js";
import { duration } from "./moments.js";
import { player, stopPlaying } from "./player.js";
import { Presence } from "./presence.js";
import { get, Refused } from "./requests.js";
import { isKept, keptPlace, menuVisit, order, stars, survey } from "./story_menu.js";
import { exact, facts, filled, free, hours, words } from "./story_parts.js";

const language = document.documentElement.lang;
const days = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
const years = new Intl.DateTimeFormat(language, { day: "numeric", month: "long", year: "numeric" });

const CHIPS = [
  { id: "phone", kind: "interaction", channel: "phone" },
  { id: "mail", kind: "interaction", channel: "mail" },
  { id: "sms", kind: "interaction", channel: "sms,messenger" },
  { id: "chat", kind: "interaction", channel: "chat,web" },
  { id: "visit", kind: "visit,interaction", channel: "visit" },
  { id: "task", kind: "task", channel: "" },
  { id: "complaint", kind: "complaint", channel: "" },
  { id: "order", kind: "order", channel: "" },
];
const SETTLE_MS = 200;

export function mount(place, workplace) {
  const story = new Story(place, (topic, fn) => workplace.follow(topic, fn));
  workplace.listen(() => story.show(workplace.customer?.id ?? null));
  workplace.command({
    id: "story-find",
    title: words.command_find,
    when: () => workplace.customer !== null,
    run: () => place.querySelector("[data-story-find]").focus(),
  });
}

export class Story {
  #list;
  #find;
  #tools;
  #presence;
  #customer = null;
  #chip = null;
  #older = null;
  #asking = null;
  #day = "";
  #days = null;
  #settle = 0;

  constructor(place, follow) {
    this.#list = place.querySelector("[data-story-list]");
    this.#find = place.querySelector("[data-story-find]");
    this.#tools = place.querySelector("[data-story-tools]");
    this.#presence = new Presence(follow, place.querySelector("[data-looking-too]"));
    this.#find.addEventListener("input", () => {
      clearTimeout(this.#settle);
      this.#settle = setTimeout(() => this.#load(), SETTLE_MS);
    });
    place.querySelector("[data-story-chips]").append(...CHIPS.map((chip) => this.#button(chip)));
  }

  /** Show this customer's story, or nobody's. */
  show(id) {
    this.#presence.look(id);
    if (id === this.#customer) return;
    this.#customer = id;
    this.#find.value = "";
    this.#choose(null);
    stopPlaying();
    this.#tools.hidden = id === null;
    if (id === null) {
      this.#asking?.abort();
      this.#list.replaceChildren(el("p", { class: "empty-line" }, words.no_customer));
    } else this.#load();
  }

  /** Ask again: something was added. */
  again() {
    this.#load();
  }

  #button(chip) {
    const title = texts.channel[chip.id] ?? words.kind[chip.id];
    return el(
      "button",
      {
        type: "button",
        class: "chip",
        "data-chip": chip.id,
        "aria-pressed": "false",
        onclick: () => {
          this.#choose(this.#chip === chip ? null : chip);
          this.#load();
        },
      },
      title,
    );
  }

  #choose(chip) {
    this.#chip = chip;
    for (const button of this.#tools.querySelectorAll("[data-chip]")) {
      button.setAttribute("aria-pressed", button.dataset.chip === chip?.id);
    }
  }

  async #load() {
    this.#older = null;
    this.#day = "";
    this.#days = null;
    await this.#ask((entries) => {
      this.#list.replaceChildren();
      if (entries.length === 0) {
        const searched = this.#find.value.trim() || this.#chip;
        this.#list.append(
          el("p", { class: "empty-line" }, searched ? words.nothing_found : words.nothing),
        );
      }
    });
  }

  async #ask(first = () => {}) {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    this.#list.setAttribute("aria-busy", "true");
    const params = { kind: this.#chip?.kind ?? "", channel: this.#chip?.channel ?? "" };
    if (this.#find.value.trim()) params.find = this.#find.value;
    if (this.#older) params.before = this.#older;
    const path = `/api/customers/${this.#customer}/story`;
    try {
      const answer = await get(path, params, { signal: asking.signal });
      if (asking.signal.aborted) return;
      first(answer.entries);
      this.#list.querySelector("[data-story-more]")?.remove();
      for (const entry of answer.entries) this.#append(entry);
      this.#older = answer.older;
      if (answer.older) this.#offerMore();
    } catch (error) {
      if (error.name === "AbortError") return;
      const said = error instanceof Refused ? error.message : words.try_again;
      this.#list.replaceChildren(el("p", { class: "notice notice-bad", role: "alert" }, said));
    } finally {
      if (this.#asking === asking) this.#list.removeAttribute("aria-busy");
    }
  }

  #offerMore() {
    const button = el(
      "button",
      { type: "button", class: "button button-small", "data-story-more": true },
      words.more,
    );
    button.addEventListener("click", () => this.#ask());
    this.#list.append(button);
    const seen = new IntersectionObserver((changes) => {
      if (!changes.some((change) => change.isIntersecting)) return;
      seen.disconnect();
      if (button.isConnected) this.#ask();
    });
    seen.observe(button);
  }

  #append(entry) {
    const day = dayOf(new Date(entry.at));
    if (day !== this.#day) {
      this.#day = day;
      this.#days = el("ol", { class: "story-day" });
      this.#list.append(el("h3", { class: "story-date" }, day), this.#days);
    }
    this.#days.append(line(entry));
  }
}

function dayOf(at) {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  const ahead = Math.floor((at - midnight) / 86_400_000);
  if (ahead >= 1) return `${words.planned}: ${days.format(at)}`;
  if (ahead === 0) return words.today;
  if (ahead === -1) return words.yesterday;
  return at.getFullYear() === midnight.getFullYear() ? days.format(at) : years.format(at);
}

const PICTURES = { task: "note", visit: "visit", complaint: "bell", order: "page" };

function line(entry) {
  const picture = entry.kind === "interaction" ? entry.channel : PICTURES[entry.kind];
  const at = new Date(entry.at);
  const { title, badges, parts } = { interaction, task, visit, complaint, order }[entry.kind](entry);
  return el(
    "li",
    { class: "story-entry", "data-kind": entry.kind, "data-channel": entry.channel },
    el("span", { class: "past-channel", "aria-hidden": "true" }, icon(picture)),
    el(
      "div",
      { class: "past-body" },
      el(
        "p",
        { class: "past-head" },
        el("strong", { dir: "auto" }, title),
        ...badges.filter(Boolean).map((text) => el("span", { class: "badge" }, text)),
        el("time", { datetime: entry.at, title: exact.format(at) }, hours.format(at)),
      ),
      ...parts.filter(Boolean),
    ),
  );
}

function interaction(entry) {
  const { call } = entry;
  const disposition = (code) => texts.dispositions?.[code] ?? code;
  const several = entry.wrap_ups.length > 1;
  return {
    title: entry.summary || texts.channel[entry.channel],
    badges: [entry.disposition && disposition(entry.disposition)],
    parts: [
      facts(
        texts.direction[entry.direction],
        entry.queue && name(texts.queues?.[entry.queue] ?? entry.queue),
        entry.agent && name(entry.agent),
        call && words.outcome[call.outcome],
        call?.wait_s && filled(words.waited, { time: duration(call.wait_s) }),
        call?.talk_s && filled(words.talked, { time: duration(call.talk_s) }),
        call?.transferred_to && filled(words.transferred, { who: call.transferred_to }),
      ),
      ...(entry.menu_visits.length ? entry.menu_visits.map(menuVisit) : [path(entry.keyed)]),
      ...(several
        ? entry.wrap_ups.map((one) =>
            one.note
              ? el(
                  "blockquote",
                  { class: "story-wrap-up" },
                  el(
                    "p",
                    { class: "muted" },
                    name(one.agent),
                    ...(one.disposition ? [" · ", name(disposition(one.disposition))] : []),
                  ),
                  free(one.note),
                )
              : null,
          )
        : [free(entry.note || entry.wrap_ups[0]?.note)]),
      (entry.survey && survey(entry.survey)) ||
        (entry.satisfaction && el("p", {}, ...stars(entry.satisfaction))),
      ...entry.recordings.map(player),
      entry.conversation && written(entry.conversation, entry.messages),
    ],
  };
}

/** What was written, in its newest lines, and the way to all of it. */
function written({ id, merged_into }, messages) {
  return el(
    "div",
    { class: "story-written" },
    ...messages.map((one) =>
      el(
        "p",
        { class: "story-message", "data-direction": one.direction },
        icon(one.channel, texts.channel[one.channel]),
        el("span", { dir: "auto" }, one.author ? [name(one.author), ": "] : [], one.excerpt),
      ),
    ),
    el("a", { href: `/inbox#${merged_into ?? id}`, target: "_blank" }, words.in_inbox),
  );
}

/** What the customer keyed and heard before somebody answered, as a row of chips. */
function path(keyed) {
  if (keyed.length === 0) return null;
  return el(
    "ol",
    { class: "keyed-path", "aria-label": words.before_answer },
    ...keyed.map((step) => el("li", { class: "step" }, el("bdi", {}, stepText(step)))),
  );
}

function stepText(step) {
  if (/^\d{8,19}$/.test(step)) {
    return filled(words.card, { number: step.replace(/(.{4})(?=.)/g, "$1\u202f") });
  }
  if (step.startsWith("heard:")) return filled(words.heard, { what: step.slice(6) });
  return filled(words.pressed, { key: step });
}

function task(entry) {
  return {
    title: entry.title,
    badges: [words.one[entry.task_kind], words.task_state[entry.state]],
    parts: [
      facts(
        entry.state === "open" && !isKept(entry.callback) && filled(words.due, { when: exact.format(new Date(entry.due_at)) }),
        entry.number && name(entry.shown_number),
        (entry.finished_by || entry.assigned_to) && name(entry.finished_by || entry.assigned_to),
        !entry.assigned_to && entry.queue && name(texts.queues?.[entry.queue] ?? entry.queue),
      ),
      entry.callback && keptPlace(entry.callback, entry.at),
      free(entry.text),
      // How a callback ended by itself is a word that its place tells.
      entry.outcome === entry.callback?.outcome ? null : free(entry.outcome),
    ],
  };
}

function visit(entry) {
  return {
    title: entry.purpose || words.one.visit,
    badges: [words.one.visit, words.visit_state[entry.state]],
    parts: [facts(entry.place && name(entry.place), entry.agent && name(entry.agent)), free(entry.outcome)],
  };
}

function complaint(entry) {
  return {
    title: entry.subject || words.category[entry.category] || words.one.complaint,
    badges: [words.one.complaint, words.severity[entry.severity]],
    parts: [
      facts(name(entry.shown_number), words.category[entry.category], name(entry.agent)),
      free(entry.text),
    ],
  };
}
