// The phone's way to the PBX: claims this agent's account, registers over the desk's own WebSocket,
// notices when the way is gone and makes it anew. Knows no call and no microphone.

import { post, Refused } from "./requests.js";

const FIRST_PAUSE_MS = 300;
// What the page shows is true again within 3 s of the network's return.
const LONGEST_PAUSE_MS = 1_000;
const REGISTER_SECONDS = 300;
const PROBE_EVERY_MS = 15_000;
const PROBE_MS = 1_500;
// Where nothing speaks for a loss, a slow answer is none: claiming anew would end what rings.
const PATIENT_PROBE_MS = 6_000;
// A claim that takes longer went into a network that was gone; the next one finds the way.
const CLAIM_MS = 10_000;
const TAKEN_OVER = 4409;
const SESSION_OVER = 4401;
const TRY_LATER = 1013;

export class PhoneLine {
  registered = false;
  /** Why it is not registered: "", offline, pbx_away, session_over, other_computer, desk. */
  problem = "";
  /** Why the server gives no phone, in its own words. */
  refusal = "";
  account = "";
  pbx = "";
  echo = "";
  #wanted = false;
  #library = null;
  #ua = null;
  #domain = "";
  #socket = "";
  #turn = 0;
  #claiming = -1;
  #pause = FIRST_PAUSE_MS;
  #again = 0;
  #on;

  /**
   * on.changed(); on.registered(calls) with the calls that Asterisk has of this account;
   * on.session(news) for each of JsSIP's; on.gone() when the account is somebody else's now.
   */
  constructor(on) {
    this.#on = on;
    addEventListener("online", () => this.lookAlive());
    addEventListener("offline", () => this.#on.changed());
    document.addEventListener("visibilitychange", () => document.hidden || this.lookAlive());
    setInterval(() => this.lookAlive(PATIENT_PROBE_MS), PROBE_EVERY_MS);
  }

  /** A SIP address at this PBX. */
  address(target) {
    return `sip:${target}@${this.#domain}`;
  }

  call(target, options) {
    this.#ua.call(this.address(target), options);
  }

  /** Claim the account from whoever has it: their secret is dead from then on. */
  take() {
    this.#socket = "";
    this.#wanted = true;
    return this.open();
  }

  /** Claim the account again, unless another computer has it by now. */
  async open() {
    this.#drop();
    const turn = this.#turn;
    this.#claiming = turn;
    this.#on.changed();
    let claim;
    try {
      this.#library ??= (await import("./vendor/jssip.js")).default;
      const wish = this.#socket ? { former: this.#socket } : {};
      claim = await post("/api/phone/claim", wish, { signal: AbortSignal.timeout(CLAIM_MS) });
    } catch (error) {
      if (turn === this.#turn) this.#refused(error);
      return;
    }
    if (turn === this.#turn) this.#register(claim, turn);
  }

  /** Let the account go, without a word to the PBX. */
  close(problem = "") {
    this.#drop();
    this.#wanted = false;
    this.problem = problem;
    this.#on.changed();
  }

  #drop() {
    clearTimeout(this.#again);
    this.#turn += 1;
    this.#ua?.removeAllListeners();
    // Not ua.stop(): it would hang up. The PBX forgets the place when the next one registers.
    this.#ua?.transport.disconnect();
    this.#ua = null;
    this.registered = false;
  }

  #refused(error) {
    const status = error instanceof Refused ? error.status : 0;
    if (status === 409) this.refusal = error.message;
    if (status === 401 || status === 403) this.#gone("session_over");
    else if (status === 409) this.#gone("desk");
    else if (status === 412) this.#gone("other_computer");
    else this.#later(status === 503 ? "pbx_away" : "offline");
  }

  #gone(problem) {
    this.close(problem);
    this.#on.gone();
  }

  #later(problem) {
    this.#drop();
    this.problem = navigator.onLine ? problem : "offline";
    // Half of the pause is chance, so that a thousand phones do not come back at one moment.
    const pause = this.#pause * (0.5 + Math.random() / 2);
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    this.#again = setTimeout(() => this.open(), pause);
    this.#on.changed();
  }

  #register({ account, secret, domain, display_name, socket, pbx, echo, calls = [] }, turn) {
    Object.assign(this, { account, pbx, echo });
    this.#domain = domain;
    this.#socket = socket;
    const address = new URL(socket, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const ua = new this.#library.UA({
      sockets: [new this.#library.WebSocketInterface(address.href)],
      uri: this.address(account),
      authorization_user: account,
      password: secret,
      display_name,
      user_agent: "Deskbell",
      register_expires: REGISTER_SECONDS,
      session_timers: false,
    });
    this.#ua = ua;
    const mine = (action) => (news) => turn === this.#turn && action(news);
    ua.on("registered", mine(() => {
      this.registered = true;
      this.problem = "";
      this.#pause = FIRST_PAUSE_MS;
      this.#on.registered(calls.splice(0));
      this.#on.changed();
    }));
    ua.on("registrationFailed", mine(() => this.#later("pbx_away")));
    ua.on("disconnected", mine(({ code }) => {
      if (code === TAKEN_OVER) this.#gone("other_computer");
      else if (code === SESSION_OVER) this.#gone("session_over");
      else this.#later(code === TRY_LATER ? "pbx_away" : "offline");
    }));
    ua.on("newRTCSession", mine((news) => this.#on.session(news)));
    ua.start();
  }

  /** After a sleep or a change of network the connection may be dead without knowing it. */
  lookAlive(patience = PROBE_MS) {
    if (!this.#wanted) return;
    if (!this.registered) {
      const waits = this.#ua === null && this.#claiming !== this.#turn;
      if (waits && navigator.onLine) this.open();
      return;
    }
    const turn = this.#turn;
    const dead = setTimeout(() => turn === this.#turn && this.open(), patience);
    const alive = () => clearTimeout(dead);
    this.#ua.sendOptions(`sip:${this.#domain}`, null, {
      eventHandlers: { succeeded: alive, failed: ({ response }) => response && alive() },
    });
  }
}
