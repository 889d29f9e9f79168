// One conversation: its head with what can be done, its line of time, and the answer below. Kept true
// by the push: a new message, a colleague's change, who else looks and writes.

import { AnswerBox } from "./answer_box.js";
import { mountActs } from "./conversation_acts.js";
import { drawHead } from "./conversation_head.js";
import { drawTimeline } from "./conversation_timeline.js";
import { el, put, texts } from "./elements.js";
import { filled, words } from "./inbox_words.js";
import { get, latest, post, Refused } from "./requests.js";

const AGAIN_MS = 150;

export class Conversation {
  /** The id of what is shown, or null. */
  id = null;
  /** What the server says of it, or null while it is being asked. */
  line = null;
  #place;
  #workplace;
  #page;
  #stop = () => {};
  #nextReading = latest();
  #older = null;
  #entries = [];
  #answer;
  #acts;
  #again = 0;

  /** `page` is told: changed(), open(id), next(), close(). */
  constructor(place, workplace, page) {
    this.#place = place;
    this.#workplace = workplace;
    this.#page = page;
    this.#answer = new AnswerBox(this.#part("answer"), workplace, this);
    this.#acts = mountActs(this, workplace, page);
    this.#part("head").addEventListener("click", this.#acts.pressed);
    this.#part("timeline").addEventListener("click", (event) => this.#pressed(event));
  }

  #part(which) {
    return this.#place.querySelector(`[data-${which}]`);
  }

  async show(id) {
    if (this.id === id) return;
    this.#leave();
    this.id = id;
    this.#part("nothing-open").hidden = true;
    this.#part("open").hidden = false;
    this.#part("notices").replaceChildren();
    this.#part("head").replaceChildren(el("span", { class: "skeleton" }));
    this.#part("timeline").replaceChildren();
    this.#answer.close();
    this.#stop = this.#workplace.follow(`conversation:${id}`, (documents, frame) =>
      this.#news(documents, frame),
    );
    if (!(await this.#read())) return;
    this.#answer.open(this.line);
    this.#toEnd();
  }

  hide() {
    this.#leave();
    this.#answer.close();
    this.#part("open").hidden = true;
    this.#part("nothing-open").hidden = false;
  }

  #leave() {
    this.#stop();
    this.#stop = () => {};
    clearTimeout(this.#again);
    this.id = null;
    this.line = null;
    this.#entries = [];
    this.#older = null;
  }

  /**
   * Read it anew; false if it was not to be had, or something else is shown by now. `quietly`: whoever
   * asks says themselves what has changed.
   */
  async #read(quietly = false) {
    const id = this.id;
    const signal = this.#nextReading();
    let answer;
    try {
      answer = await get(`/api/conversations/${id}`, {}, { signal });
    } catch (error) {
      if (signal.aborted || this.id !== id) return false;
      const said = error instanceof Refused ? error.message : texts.try_again;
      this.#part("head").replaceChildren(el("p", { class: "notice notice-bad", role: "alert" }, said));
      return false;
    }
    if (this.id !== id) return false;
    if (answer.conversation.merged_into) {
      this.#took(answer);
      return false;
    }
    this.#took(answer, quietly);
    return true;
  }

  #took({ conversation, entries, older }, quietly = false) {
    if (conversation === null) {
      this.#page.close();
      return;
    }
    if (conversation.merged_into) {
      this.#page.open(conversation.merged_into);
      return;
    }
    const before = this.line;
    this.line = conversation;
    // What was asked for of the past stays; what is new stands at the end.
    const known = new Set(entries.map((one) => one.key));
    const past = this.#entries.filter((one) => !known.has(one.key) && entries.length && one.at < entries[0].at);
    if (past.length === 0) this.#older = older;
    const isNew = before !== null && entries.at(-1)?.key !== this.#entries.at(-1)?.key;
    this.#entries = [...past, ...entries];
    this.draw();
    if (before !== null && !quietly && this.#answer.isWriting) this.#tellWhileWriting(before, conversation);
    if (isNew) this.#toEnd();
  }

  draw() {
    if (this.line === null) return;
    drawHead(this.#part("head"), this.line, this.#acts);
    drawTimeline(this.#part("timeline"), this.line, this.#entries, this.#older !== null);
    this.#drawOthers();
  }

  #toEnd() {
    const place = this.#part("timeline");
    place.scrollTop = place.scrollHeight;
  }

  // ---- news --------------------------------------------------------------------------------------

  #news(documents, frame) {
    this.#drawOthers();
    const version = documents.get("state")?.version ?? 0;
    const moved = frame === null || frame.snapshot !== undefined || frame.set?.state;
    if (this.line === null || !moved || version === this.line.version) return;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#read(), AGAIN_MS);
  }

  #drawOthers() {
    if (this.id === null) return;
    const documents = this.#workplace.documents(`conversation:${this.id}`);
    const others = [...documents]
      .filter(([key, one]) => key.startsWith("agent:") && one.agent !== texts.me)
      .map(([, one]) => filled(one.typing ? words.types_now : words.looks_now, { who: one.name }));
    const customer = documents.get("customer");
    if (customer?.typing) others.unshift(words.customer_types);
    else if (customer?.present) others.unshift(words.customer_here);
    else if (customer) others.unshift(words.customer_left);
    put(this.#part("others"), others.join(" · "));
  }

  /** Somebody else did something while this agent writes: say it beside the text, never over it. */
  #tellWhileWriting(before, now) {
    const changes = changesOf(before, now);
    const last = this.#entries.at(-1);
    if (last?.kind === "message" && last.author !== texts.me && last.at > before.last_message_at) {
      const said = last.direction === "inbound" ? words.wrote_meanwhile : words.answered_meanwhile;
      changes.unshift(filled(said, { who: last.author_name || last.sender_name || last.shown_sender }));
    }
    if (changes.length) this.notice(`${words.meanwhile} ${changes.join(" ")}`);
  }

  notice(text, ...acts) {
    const close = () => line.remove();
    const line = el(
      "p",
      { class: "notice notice-meanwhile", role: "status" },
      el("span", { dir: "auto" }, text),
      ...acts,
      el("button", { type: "button", class: "button button-small", onclick: close }, words.understood),
    );
    const place = this.#part("notices");
    place.append(line);
    while (place.children.length > 3) place.firstElementChild.remove();
    return line;
  }

  // ---- doing -------------------------------------------------------------------------------------

  /**
   * Do something to the conversation as it is shown; true if it was done. When it has moved on
   * meanwhile, it is shown as it is now with what changed, and nothing is done.
   */
  async act(wish) {
    const { id } = this;
    try {
      const answer = await post(`/api/conversations/${id}`, { ...wish, version: this.line.version });
      if (this.id === id) this.#took(answer, true);
      this.#page.changed();
      return true;
    } catch (error) {
      if (error instanceof Refused && error.status === 409) await this.movedOn(error.message);
      else this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
      return false;
    }
  }

  /**
   * Make one of this conversation and another: the newer becomes part of the older, whose queue,
   * agent and clocks stay.
   */
  async join(other) {
    const { line } = this;
    if (other.opened_at <= line.opened_at) {
      await this.act({ action: "merge", into: other.id });
      return;
    }
    try {
      await post(`/api/conversations/${other.id}`, { action: "merge", into: line.id, version: other.version });
      if (this.id === line.id) await this.#read(true);
      this.#page.changed();
    } catch (error) {
      if (error instanceof Refused && error.status === 409) await this.movedOn(error.message);
      else this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
  }

  /** Have the chat ask its visitor for a proof. */
  async askWho() {
    const { id } = this;
    try {
      await post(`/api/conversations/${id}/ask-who`);
      if (this.id === id) await this.#read(true);
    } catch (error) {
      this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
  }

  /** The conversation is another one than the page shows: say what changed, and show that. */
  async movedOn(message) {
    const before = this.line;
    if (!(await this.#read(true))) return;
    const changes = changesOf(before, this.line);
    this.notice([message, ...changes].join(" "));
    this.#page.changed();
  }

  /** Read it anew now. */
  again() {
    return this.#read();
  }

  async #pressed(event) {
    const act = event.target.closest("[data-do]");
    if (act === null) return;
    const { id } = this;
    const message = act.closest("[data-message]")?.dataset.message;
    if (act.dataset.do === "older") {
      const answer = await get(`/api/conversations/${id}`, { before: this.#older });
      if (this.id !== id) return;
      const known = new Set(this.#entries.map((one) => one.key));
      this.#entries = [...answer.entries.filter((one) => !known.has(one.key)), ...this.#entries];
      this.#older = answer.older;
      this.draw();
    } else if (act.dataset.do === "take-back") await this.#answer.takeBack(message);
    else if (act.dataset.do === "send-again") await this.#sendAgain(message);
    else if (act.dataset.do === "quote") this.#answer.quote(act.closest("[data-message]").querySelector("[data-text]")?.innerText ?? "");
  }

  async #sendAgain(message) {
    try {
      await post(`/api/conversations/${this.id}/messages/${message}/send-again`);
      this.#workplace.say(words.sent_again);
      await this.#read();
    } catch (error) {
      this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
  }
}

/** What is another thing than before, each as a sentence. */
export function changesOf(before, now) {
  const found = [];
  const nameOf = (login) => (login ? (words.people[login] ?? login) : words.nobody);
  if (before.assigned_to !== now.assigned_to) {
    found.push(filled(words.change.assigned, { who: nameOf(now.assigned_to) }));
  }
  if (before.queue !== now.queue) {
    found.push(filled(words.change.queue, { queue: texts.queues[now.queue] ?? now.queue ?? words.nobody }));
  }
  if (before.state !== now.state) {
    found.push(filled(words.change.state, { state: words.states[now.state] }));
  }
  if (before.tags.join("\n") !== now.tags.join("\n")) {
    found.push(filled(words.change.tags, { tags: now.tags.join(", ") || words.none }));
  }
  if (before.customer_id !== now.customer_id) {
    found.push(filled(words.change.customer, { who: now.customer_name || words.nobody }));
  }
  return found;
}
