// What the panels of the desk share: the call shown now, its customer, the push, the note, the phone.
// Knows no panel; owns which of an agent's calls is the one that matters.

import { say } from "./announcements.js";
import { command, findable } from "./commands.js";
import { texts } from "./elements.js";
import { follow } from "./shell.js";

const RANK = { answered: 0, held: 1, dialling: 2, offered: 3, ended: 4 };
const LIVE = ["answered", "held", "dialling"];

export class Workplace {
  /** The document of the call shown now, with its `key`, or null. */
  call = null;
  /** The screen pop that belongs to it, or null. */
  pop = null;
  /** All calls on this screen, the one that matters most first. */
  calls = [];
  /** The agent's own state document, or null before the first snapshot. */
  state = null;
  /** The note (note.js): `.insert(text)`, `.text`. */
  note = null;
  command = command;
  findable = findable;
  say = say;
  #phone = null;
  #push;
  #own = `agent:${texts.me}`;
  #listeners = new Set();
  #followers = new Map();
  #chosen = null;

  constructor() {
    this.#push = follow(
      [this.#own],
      (frame) => this.#arrived(frame),
      () => {
        this.note?.again();
        this.#phone?.lookAlive();
      },
    );
    document.addEventListener("click", (event) => {
      const to = event.target.closest?.("[data-dial]")?.dataset.dial;
      if (to) this.dial(to);
    });
  }

  /** The customer's card that is shown now, or null. */
  get customer() {
    return this.pop?.matches.length === 1 ? this.pop.matches[0] : null;
  }

  /** The Phone (phone.js), or null until it is loaded; whoever loads it puts it here. */
  get phone() {
    return this.#phone;
  }

  set phone(phone) {
    this.#phone = phone;
    this.#tell();
  }

  /** fn(workplace), now and whenever the call, its customer, the state or the phone changed. */
  listen(fn) {
    this.#listeners.add(fn);
    fn(this);
    return () => this.#listeners.delete(fn);
  }

  /**
   * fn(documents, frame) for every frame of the topic; at once with null for the frame if the topic
   * is known already. The answer stops it.
   */
  follow(topic, fn) {
    const followers = this.#followers.get(topic) ?? new Set();
    this.#followers.set(topic, followers.add(fn));
    this.#push.subscribe(topic);
    if (this.#push.state.knows(topic)) fn(this.#push.state.documents(topic), null);
    return () => {
      followers.delete(fn);
      if (followers.size === 0 && topic !== this.#own) {
        this.#followers.delete(topic);
        this.#push.unsubscribe(topic);
      }
    };
  }

  /** Something says that the server can be reached: a push that waits does so no longer. */
  lookAlive() {
    this.#push.lookAlive();
  }

  /** The topic's documents as they are now. */
  documents(topic) {
    return this.#push.state.documents(topic);
  }

  /** Show this one of the ended calls. */
  choose(key) {
    this.#chosen = key;
    this.#look();
  }

  /** Call a number, an extension or a colleague's login with the browser's phone. */
  dial(to) {
    if (this.#phone === null) this.say(texts.no_phone);
    else this.#phone.dial(to);
  }

  #arrived(frame) {
    if (frame.topic === this.#own) this.#look();
    const documents = this.#push.state.documents(frame.topic);
    for (const fn of this.#followers.get(frame.topic) ?? []) fn(documents, frame);
  }

  #look() {
    const documents = this.#push.state.documents(this.#own);
    this.state = documents.get("state") ?? null;
    this.calls = callsIn(documents);
    // An offer is shown at once, unless the agent is talking to somebody; a customer who waits while
    // a colleague is asked stays on the screen.
    const live = this.calls.filter((one) => LIVE.includes(one.state));
    this.call =
      live.find((one) => one.direction !== "internal") ??
      live[0] ??
      this.calls.find((one) => one.state === "offered") ??
      this.calls.find((one) => one.key === this.#chosen) ??
      this.calls[0] ??
      null;
    this.pop = this.popOf(this.call);
    this.#tell();
  }

  popOf(call) {
    return (call && this.#push.state.documents(this.#own).get(`pop:${call.key}`)) ?? null;
  }

  #tell() {
    for (const fn of this.#listeners) fn(this);
  }
}

/** Who a call is with, as well as it is known. */
export function whoIs(call, pop) {
  if (pop?.matches.length === 1) return pop.matches[0].name;
  return call.caller_name || call.shown_caller || texts.withheld;
}

/** The calls in the agent's own topic; a pop may come before its call. */
function callsIn(documents) {
  const found = [];
  for (const [key, document] of documents) {
    if (key.startsWith("call:")) found.push({ key: key.slice(5), ...document });
    else if (key.startsWith("pop:") && !documents.has(`call:${key.slice(4)}`)) {
      const { pbx, call, queue, caller, caller_name, shown_number } = document;
      found.push({
        key: key.slice(4),
        pbx,
        call,
        queue,
        caller,
        caller_name,
        shown_caller: shown_number || caller,
        state: "offered",
      });
    }
  }
  return found.sort((a, b) => RANK[a.state] - RANK[b.state] || (b.ended_at ?? 0) - (a.ended_at ?? 0));
}
