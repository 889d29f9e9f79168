// The push's connection: subscribes, applies frames, reconnects with growing pauses, and says when
// it is not connected. Knows no page.

import { PushState } from "./push_state.js";

const FIRST_PAUSE_MS = 250;
// What the page shows is true again within 3 s of the network's return.
const LONGEST_PAUSE_MS = 1_000;
// A request that takes longer went into a network that was gone; the next one finds the way.
const ASKING_MS = 5_000;
const SESSION_OVER = 4401;

export class Push {
  state = new PushState();
  #topics;
  #onFrame;
  #onConnection;
  #pause = FIRST_PAUSE_MS;
  #beat = 15;
  #silence = 0;
  #socket = null;
  #again = 0;
  #awaited = new Set();

  /**
   * onFrame(frame) after each frame was applied; onConnection("connected" | "lost" | "over").
   */
  constructor(topics, onFrame, onConnection) {
    this.#topics = [...topics];
    this.#onFrame = onFrame;
    this.#onConnection = onConnection;
    addEventListener("online", () => this.lookAlive());
    document.addEventListener("visibilitychange", () => document.hidden || this.lookAlive());
    this.#connect();
  }

  /** Ask for one more topic, now and at every reconnect. */
  subscribe(topic) {
    if (this.#topics.includes(topic)) return;
    this.#topics.push(topic);
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ subscribe: [topic] }));
    }
  }

  /** Follow it no more: what still comes of it is nobody's. */
  unsubscribe(topic) {
    this.#topics = this.#topics.filter((known) => known !== topic);
    this.state.forget(topic);
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ unsubscribe: topic }));
    }
  }

  /** Do not wait longer: something says that the server can be reached. */
  lookAlive() {
    if (this.#socket === null) this.#ask();
  }

  #connect() {
    const address = new URL("/push", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => {
      this.#pause = FIRST_PAUSE_MS;
      this.#awaited.clear();
      // One by one: a topic that is refused keeps none of the others away.
      for (const topic of this.#topics) socket.send(JSON.stringify({ subscribe: [topic] }));
      this.#listenForSilence();
      this.#onConnection("connected");
    };
    socket.onmessage = (message) => {
      this.#listenForSilence();
      const frame = JSON.parse(message.data);
      if (frame.beat !== undefined) this.#beat = frame.beat;
      const missed = this.state.apply(frame);
      if (frame.topic === undefined || !this.#topics.includes(frame.topic)) return;
      if (missed !== null) this.#resync(missed);
      else {
        if (frame.snapshot !== undefined) this.#awaited.delete(frame.topic);
        this.#onFrame(frame);
      }
    };
    socket.onclose = (close) => this.#lost(socket, close.code);
  }

  /** A snapshot is asked for once: the frames that come before it show the same gap. */
  #resync(topic) {
    if (this.#awaited.has(topic)) return;
    this.#awaited.add(topic);
    this.#socket.send(JSON.stringify({ resync: topic }));
  }

  #lost(socket, code) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    clearTimeout(this.#silence);
    if (code === SESSION_OVER) {
      this.#onConnection("over");
      return;
    }
    this.#onConnection("lost");
    this.#askLater();
  }

  #askLater() {
    // Half of the pause is chance, so that a thousand desks do not come back at one moment.
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#ask(), pause);
  }

  /**
   * Connect once the server answers. A refused WebSocket does not say why (the session may be over),
   * and a browser that was refused some of them makes the next ones wait for seconds.
   */
  async #ask() {
    clearTimeout(this.#again);
    const wait = { signal: AbortSignal.timeout(ASKING_MS) };
    const answer = await fetch("/api/me", wait).catch(() => null);
    if (this.#socket !== null) return;
    // A proxy in front of a service that is away answers too, but not in JSON.
    const ours = answer?.headers.get("Content-Type")?.startsWith("application/json");
    if (answer?.status === 401) this.#onConnection("over");
    else if (ours) this.#connect();
    else this.#askLater();
  }

  #listenForSilence() {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#silence = setTimeout(() => {
      socket.close();
      this.#lost(socket, 1006);
    }, this.#beat * 2_000 + 2_000);
  }
}
