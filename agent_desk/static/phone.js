// The phone in the browser: holds the legs (phone_leg.js) with all that can be done with them, and says
// whether it can be reached. What only the PBX can do it asks the server for. Draws nothing.
//
// There is one way back after anything was lost (a reload, a cut, a sleep, another tab): claim again,
// and take each call that Asterisk still has with an INVITE that replaces its former leg.

import { texts } from "./elements.js";
import { CONNECTION, Leg } from "./phone_leg.js";
import { PhoneLine } from "./phone_line.js";
import { Microphone } from "./phone_microphone.js";
import { PhoneOwner } from "./phone_owner.js";
import { Quality } from "./phone_quality.js";
import { PhoneSound } from "./phone_sound.js";
import { get, post, Refused } from "./requests.js";

const MUTED = "deskbell:phone-muted";
const LAST = `deskbell:phone-last:${texts.me}`;
const QUALITY_EVERY_MS = 3_000;
const CAUSE_SHOWN_MS = 4_000;

export class Phone {
  /** The calls of this phone, oldest first. */
  legs = [];
  /** Who has the phone: this_tab, other_tab, other_computer. */
  owner = "this_tab";
  /** 0 to 4, or null while no call is measured. */
  quality = null;
  /** May this ringing leg be answered by itself? Set by who knows the queues. */
  answersItself = () => false;
  /** Who says to the agent what could not be dialled. */
  onRefused = () => {};
  microphone = new Microphone(() => this.#tell());
  sound = new PhoneSound();
  #line = new PhoneLine({
    changed: () => this.#tell(),
    registered: (calls) => this.#isRegistered(calls),
    session: (news) => this.#newSession(news),
    gone: () => this.#isGone(),
  });
  #tabs = new PhoneOwner({
    gained: () => this.#gained(),
    lost: () => this.#letGo("other_tab"),
  });
  #listeners = new Set();
  #told = false;
  #outgoing = null;
  #wantsOpen = false;
  #hungUp = new Set();
  #measure = new Quality();

  constructor() {
    this.microphone.onAnother = () => this.#speakAnew();
  }

  /** fn(phone), now and after anything changed; answers what stops it. */
  listen(fn) {
    this.#listeners.add(fn);
    fn(this);
    return () => this.#listeners.delete(fn);
  }

  #tell() {
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => {
      this.#told = false;
      this.#sounds();
      for (const fn of this.#listeners) fn(this);
    });
  }

  get busy() {
    return this.legs.some((leg) => leg.state !== "ended");
  }

  find(state) {
    return this.legs.find((leg) => leg.state === state) ?? null;
  }

  // ---- can it be reached -------------------------------------------------------------------------

  get registered() {
    return this.#line.registered;
  }

  /** Why it is not registered: "", offline, pbx_away, session_over, other_computer, desk. */
  get problem() {
    return this.#line.problem;
  }

  /** Why the server gives no phone, in its own words. */
  get refusal() {
    return this.#line.refusal;
  }

  /** This agent's extension; empty until the first claim. */
  get account() {
    return this.#line.account;
  }

  /** The number that says back what it hears; empty until the first claim. */
  get echo() {
    return this.#line.echo;
  }

  /** Take the phone if no other tab has it, and wait for it otherwise. */
  start() {
    setInterval(() => this.#measureQuality(), QUALITY_EVERY_MS);
    this.#tabs.start();
  }

  /** Take the phone from the tab or the computer that has it. */
  useHere() {
    if (this.owner === "other_tab") this.#tabs.steal();
    else this.#gained();
  }

  /** Do not wait longer: something says that the server can be reached. */
  lookAlive() {
    this.#line.lookAlive();
  }

  #gained() {
    this.owner = "this_tab";
    this.#line.take();
  }

  #letGo(owner) {
    this.owner = owner;
    this.#line.close();
    this.#forget(() => true);
    this.microphone.close();
    this.#tell();
  }

  #isGone() {
    if (this.#line.problem === "other_computer") this.owner = "other_computer";
    this.#forget(() => true);
    this.microphone.close();
  }

  #isRegistered(calls) {
    this.sound.prepare();
    this.#openMicrophone();
    this.#forget((leg) => !calls.some((call) => call.call_id === leg.call_id));
    for (const call of calls) this.#takeBack(call);
  }

  #forget(which) {
    for (const leg of this.legs) if (which(leg)) leg.forget();
  }

  /** Let calls ring in the "browser" or at the "desk" phone. */
  async useKind(kind) {
    await post("/api/agent/phone", { kind });
    if (kind === "browser") this.#gained();
    else this.#line.close("desk");
  }

  async #measureQuality() {
    const leg = this.find("answered");
    const measured = leg?.connection ? await this.#measure.measure(leg.connection) : null;
    if (measured === this.quality) return;
    this.quality = measured;
    this.#tell();
  }

  // ---- calls come and go -------------------------------------------------------------------------

  #leg(direction, known) {
    const leg = new Leg(direction, {
      ...known,
      changed: (one) => this.#legChanged(one),
      lost: () => this.#line.open(),
    });
    this.legs.push(leg);
    leg.hearThrough(this.microphone.chosen.ear).catch(() => {});
    return leg;
  }

  #newSession({ originator, session, request }) {
    if (originator === "local") {
      const { leg, microphone, otherCodecThan } = this.#outgoing;
      leg.follow(session, request, microphone, otherCodecThan);
      return;
    }
    const leg = this.#leg("in", {
      pbx: this.#line.pbx,
      call: request.getHeader("X-Deskbell-Call") ?? "",
      number: session.remote_identity.uri.user ?? "",
      name: session.remote_identity.display_name ?? "",
    });
    leg.follow(session, request);
    this.#tell();
    if (!this.find("answered") && this.answersItself(leg)) this.#answerByItself(leg);
  }

  async #answerByItself(leg) {
    leg.answersItself = true;
    await this.sound.beep();
    if (leg.state === "ringing") await this.answer(leg);
  }

  #legChanged(leg) {
    if (leg.state === "ended") {
      const shown = leg.cause ? CAUSE_SHOWN_MS : 0;
      setTimeout(() => {
        this.legs = this.legs.filter((one) => one !== leg);
        this.#openMicrophone();
        this.#tell();
      }, shown);
    } else if (leg.call === "" && leg.state !== "calling") this.#learnCalls();
    this.#tell();
  }

  /** Which call of the PBX a leg is, when the leg itself could not tell. */
  async #learnCalls() {
    try {
      const { legs } = await get("/api/phone/legs");
      for (const { call_id, pbx, call } of legs) {
        const leg = this.legs.find((one) => one.call_id === call_id);
        if (leg) Object.assign(leg, { pbx, call });
      }
      this.#tell();
    } catch {
      // The next change asks again.
    }
  }

  async #takeBack({ pbx, call, call_id, local_tag, remote_tag, codec, state, number, name }) {
    const held = state === "held" ? "held" : "answered";
    const muted = JSON.parse(sessionStorage[MUTED] ?? "[]").includes(call);
    const leg =
      this.legs.find((one) => one.call_id === call_id && one.state !== "ended") ??
      this.#leg("in", { pbx, call, number, name: name ?? "", state: held, muted });
    leg.returning = true;
    this.#tell();
    // What the agent ended while the way was cut ends now.
    const over = this.#hungUp.delete(call_id);
    const replaces = `Replaces: ${call_id};to-tag=${local_tag};from-tag=${remote_tag}`;
    await this.#invite(leg, this.account, [replaces], codec);
    if (over) leg.hangUp();
  }

  async #invite(leg, target, extraHeaders = [], otherCodecThan = "") {
    const microphone = await this.microphone.clone();
    if (microphone === null || !this.registered) {
      leg.forget();
      return;
    }
    this.#outgoing = { leg, microphone, otherCodecThan };
    this.#line.call(target, {
      mediaStream: microphone,
      pcConfig: CONNECTION,
      extraHeaders,
    });
    this.#outgoing = null;
  }

  #sounds() {
    const ringing = this.legs.find((leg) => leg.state === "ringing" && !leg.answersItself);
    const calling = this.find("calling");
    const failed = this.legs.some((leg) => leg.state === "ended" && leg.cause);
    if (ringing) this.sound.play(this.find("answered") ? "knock" : "ring");
    else if (calling) this.sound.play(calling.earlySound ? null : "ring_back");
    else if (failed) this.sound.play("busy");
    else if (!this.legs.some((leg) => leg.answersItself && leg.state === "ringing")) {
      this.sound.play(null);
    }
  }

  // ---- the microphone ----------------------------------------------------------------------------

  /** Keep the microphone open, so that answering waits for nothing; or only while there are calls. */
  keepOpen(wanted) {
    this.#wantsOpen = wanted;
    this.#openMicrophone();
  }

  #openMicrophone() {
    if (this.registered && (this.#wantsOpen || this.busy)) {
      if (this.microphone.state === "ready") this.microphone.open();
    } else if (!this.busy) this.microphone.close();
  }

  /** Choose a device for "microphone", "ear" or "ring"; calls under way change over. */
  async choose(purpose, device) {
    await this.microphone.choose(purpose, device);
    if (purpose === "ring") await this.sound.ringThrough(device);
    if (purpose === "ear") await Promise.all(this.legs.map((leg) => leg.hearThrough(device)));
  }

  async #speakAnew() {
    for (const leg of this.legs.filter((one) => one.live)) {
      await leg.speakThrough(await this.microphone.clone());
    }
  }

  // ---- what can be done with calls ---------------------------------------------------------------

  async answer(leg = this.find("ringing")) {
    if (leg?.state !== "ringing") return;
    await this.#holdOthers(leg);
    const microphone = await this.microphone.clone();
    if (microphone && leg.state === "ringing") leg.answer(microphone);
  }

  decline(leg = this.find("ringing")) {
    leg?.decline();
  }

  hangUp(leg) {
    if (!this.registered && leg.live) this.#hungUp.add(leg.call_id);
    leg.hangUp();
  }

  async hold(leg) {
    await leg.hold();
  }

  /** Speak with this one; whoever was spoken with waits. */
  async resume(leg) {
    await this.#holdOthers(leg);
    await leg.resume();
  }

  async #holdOthers(leg) {
    const others = this.legs.filter((one) => one !== leg && one.state === "answered");
    await Promise.all(others.map((one) => one.hold()));
  }

  mute(leg, on = !leg.muted) {
    leg.mute(on);
    const muted = this.legs.filter((one) => one.muted && one.call).map((one) => one.call);
    sessionStorage[MUTED] = JSON.stringify(muted);
  }

  /**
   * Call a number, an extension or a colleague's login (with `pick_up`: answer what rings there);
   * what is wrong goes to `onRefused`.
   */
  async dial(to, options = {}) {
    try {
      return await this.connect(to, options);
    } catch (error) {
      this.onRefused(error);
      return null;
    }
  }

  /** The same; throws Refused when it cannot be called. */
  async connect(to, { customer_id, name = "", pick_up } = {}) {
    if (!this.registered) throw new Refused(0, "not_registered");
    // JSON leaves out what is undefined.
    const { target, shown } = await post("/api/phone/dial", { to, customer_id, pick_up });
    if (!(await this.microphone.open())) throw new Refused(0, "no_microphone");
    await this.#holdOthers(null);
    const leg = this.#leg("out", { pbx: this.#line.pbx, number: shown, name, target });
    if (!pick_up) sessionStorage[LAST] = to;
    await this.#invite(leg, target);
    this.#tell();
    return leg;
  }

  get lastDialled() {
    return sessionStorage[LAST] ?? "";
  }

  /** Give the call away without a word. Answers whether the PBX took it. */
  async transfer(leg, to) {
    const { target } = await post("/api/phone/dial", { to });
    return leg.refer(this.#line.address(target));
  }

  /** Let `leg` wait, and ask somebody first. */
  async consult(leg, to, name = "") {
    const asked = await this.connect(to, { name });
    asked.consults = leg;
    return asked;
  }

  /** End a consultation by bringing both together; one that still rings becomes a blind transfer. */
  async complete(leg, asked) {
    const target = this.#line.address(asked.target || asked.number);
    if (asked.state !== "calling") return leg.refer(target, asked);
    asked.hangUp();
    return leg.refer(target);
  }

  /** End a consultation without a transfer. */
  async takeBack(leg, asked) {
    asked.hangUp();
    await leg.resume();
  }

  /** All three speak with each other from now on; the leg that waits ends. */
  async conference(leg, other) {
    await post("/api/call/conference", { pbx: leg.pbx, call: leg.call, other: other.call });
  }

  /** A desk phone's call: the PBX gives it away. */
  async sendOn({ pbx, call }, to) {
    await post("/api/call/transfer", { pbx, call, to });
  }

  /** A desk phone's call: the PBX ends it. */
  async endThere({ pbx, call }) {
    await post("/api/call/hang-up", { pbx, call });
  }

  /** Let the call wait where everybody can take it; answers the place. */
  async park({ pbx, call }) {
    return (await post("/api/call/park", { pbx, call })).space;
  }

  /** start, pause, resume or stop. */
  async record({ pbx, call }, action) {
    await post("/api/call/record", { pbx, call, action });
  }
}
