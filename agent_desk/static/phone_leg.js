// One call of the browser's phone: a SIP dialog, its sound, and what can be done with it. It outlives
// its dialog: after a lost way to the PBX another dialog takes its place. Knows no page and no server.

/** The PBX is in reach of this computer: there is nothing to ask of a STUN server. */
export const CONNECTION = { iceServers: [], bundlePolicy: "max-bundle" };

const GATHERING_MS = 50;
const WAY_LOST_MS = 3_000;
const READY_STEP_MS = 40;
const READY_STEPS = 75;
const KEY_MS = 120;
const KEY_GAP_MS = 70;
const BUSY = 486;
const NAMES_IN_SDP = { ulaw: "pcmu", alaw: "pcma" };

let counter = 0;

export class Leg {
  /** "in" or "out". */
  direction;
  /** ringing, calling, answered, held, ended. */
  state;
  muted = false;
  call_id = "";
  pbx = "";
  /** The Linkedid; empty until the server has told it. */
  call = "";
  number = "";
  name = "";
  /** Seconds since 1970 of the present state's beginning (of the answer, once answered). */
  since = Date.now() / 1000;
  /** Why it ended: "", busy, declined, no_answer, no_number, failed, denied. */
  cause = "";
  /** The other side can be heard before it answers, so the phone plays no ringing of its own. */
  earlySound = false;
  /** What a transfer is doing: "", asked, failed. */
  transfer = "";
  /** The way to the PBX is being made anew. */
  returning = false;
  #session = null;
  #sound = new Audio();
  #microphone = null;
  #former = null;
  #keys = Promise.resolve();
  #mayEnd = false;
  #localTag = "";
  #remoteTag = "";
  #wayLost = 0;
  #changed;
  #lost;

  /** changed(leg) after anything changed; lost(leg) when an answered call's way is gone. */
  constructor(direction, { changed, lost, ...known }) {
    this.id = `leg-${(counter += 1)}`;
    this.direction = direction;
    this.state = direction === "in" ? "ringing" : "calling";
    this.#changed = changed;
    this.#lost = lost;
    Object.assign(this, known);
    this.#sound.autoplay = true;
  }

  get live() {
    return this.state === "answered" || this.state === "held";
  }

  /** The RTCPeerConnection, for those who measure it, or null. */
  get connection() {
    return this.#session?.connection ?? null;
  }

  /**
   * Follow this JsSIP session from now on. One that was followed before goes on sounding until this
   * one does, and is let go of without a word to the PBX.
   *
   * A leg that takes another's place names that one's codec, and speaks another. Debian's Asterisk
   * goes on translating for the caller with the former leg's RTP sequence numbers in mind, and drops
   * for minutes what seems older; for another codec it begins anew.
   */
  follow(session, request, microphone = null, otherCodecThan = "") {
    this.#dropFormer();
    if (this.#session) this.#former = { session: this.#session, microphone: this.#microphone };
    this.#microphone = microphone;
    this.#session = session;
    this.#mayEnd = false;
    const theirs = this.direction === "in" && !this.returning;
    this.call_id = request.call_id;
    this.#localTag = theirs ? request.to_tag : request.from.getParam("tag");
    this.#remoteTag = theirs ? request.from_tag : "";
    this.#guard(session);
    const mine = (action) => (news) => {
      if (this.#session === session) action(news ?? {});
    };
    session.on("sdp", (news) => {
      const offers = news.originator === "local" && news.type === "offer";
      if (offers && otherCodecThan) news.sdp = withoutCodec(news.sdp, otherCodecThan);
    });
    session.on("peerconnection", mine(() => this.#listen(session.connection)));
    session.on("icecandidate", ({ ready }) => setTimeout(ready, GATHERING_MS));
    session.on("progress", mine(({ response }) => {
      if (response?.body) this.earlySound = true;
      this.#changed(this);
    }));
    session.on("accepted", mine(({ response }) => {
      if (response) this.#remoteTag = response.to_tag;
      this.#answered();
    }));
    session.on("confirmed", mine(() => this.#dropFormer()));
    session.on("ended", mine(() => this.#ended("")));
    session.on("failed", mine((news) => this.#failed(news)));
    if (session.connection) this.#listen(session.connection);
  }

  /** JsSIP hangs up by itself when it believes the other side gone. No caller is lost that way. */
  #guard(session) {
    const end = session.terminate.bind(session);
    session.terminate = (options) => {
      if (this.#session !== session) return;
      if (this.#mayEnd || !this.live) end(options);
      else this.#lost(this);
    };
  }

  #listen(connection) {
    connection.addEventListener("track", ({ streams, track }) => {
      this.#sound.srcObject = streams[0] ?? new MediaStream([track]);
      this.#sound.play().catch(() => {});
    });
    connection.addEventListener("iceconnectionstatechange", () => {
      if (connection !== this.connection) return;
      clearTimeout(this.#wayLost);
      if (connection.iceConnectionState === "disconnected") {
        this.#wayLost = setTimeout(() => this.live && this.#lost(this), WAY_LOST_MS);
      }
    });
  }

  #answered() {
    const first = !this.live;
    this.returning = false;
    if (first) {
      this.state = "answered";
      this.since = Date.now() / 1000;
    }
    if (this.state === "held") this.#renegotiate("hold");
    if (this.muted) this.#session.mute();
    this.#changed(this);
  }

  #failed({ message, cause, originator }) {
    const status = message?.status_code;
    if (this.direction === "in") this.#ended("");
    else if (originator === "local" && this.#mayEnd) this.#ended("");
    else if (cause === "User Denied Media Access") this.#ended("denied");
    else if (status === BUSY || status === 600) this.#ended("busy");
    else if (status === 603 || status === 403) this.#ended("declined");
    else if (status === 480 || status === 408 || status === 487) this.#ended("no_answer");
    else if (status === 404 || status === 484 || status === 410) this.#ended("no_number");
    else this.#ended("failed");
  }

  #ended(cause) {
    if (this.state === "ended") return;
    clearTimeout(this.#wayLost);
    this.state = "ended";
    this.cause = cause;
    this.#sound.srcObject = null;
    this.#dropFormer();
    stop(this.#microphone);
    this.#changed(this);
  }

  #dropFormer() {
    if (this.#former === null) return;
    letGo(this.#former.session);
    stop(this.#former.microphone);
    this.#former = null;
  }

  // ---- what can be done --------------------------------------------------------------------------

  /** Speak through another microphone from now on. */
  async speakThrough(microphone) {
    const [track] = microphone.getAudioTracks();
    const sender = this.connection?.getSenders().find((one) => one.track?.kind === "audio");
    track.enabled = sender?.track.enabled ?? true;
    await sender?.replaceTrack(track);
    stop(this.#microphone);
    this.#microphone = microphone;
  }

  async hearThrough(device) {
    await this.#sound.setSinkId?.(device);
  }

  /** The stream is this leg's own, since mute and hold silence its track. */
  answer(microphone) {
    this.#microphone = microphone;
    this.#session.answer({ mediaStream: microphone, pcConfig: CONNECTION });
  }

  decline() {
    this.#end({ status_code: BUSY });
  }

  hangUp() {
    this.#end();
  }

  #end(options) {
    if (this.state === "ended") return;
    this.#mayEnd = true;
    if (this.#session && !this.#session.isEnded()) this.#session.terminate(options);
    this.#ended("");
  }

  async hold() {
    if (this.state === "answered") await this.#renegotiate("hold");
    this.#holds(true);
  }

  async resume() {
    if (this.state === "held") await this.#renegotiate("unhold");
    this.#holds(false);
  }

  #holds(held) {
    if (!this.live) return;
    this.state = held ? "held" : "answered";
    this.#changed(this);
  }

  /** Only one offer can be under way in a dialog; while one is, wait. */
  async #renegotiate(verb) {
    const session = this.#session;
    for (let step = 0; step < READY_STEPS && !session.isEnded(); step += 1) {
      if (session.isOnHold().local === (verb === "hold")) return;
      let told;
      const done = new Promise((resolve) => (told = resolve));
      if (session[verb]({}, told)) {
        await Promise.race([done, pause(READY_STEP_MS * READY_STEPS)]);
        return;
      }
      await pause(READY_STEP_MS);
    }
  }

  mute(on) {
    this.muted = on;
    if (on) this.#session?.mute();
    else this.#session?.unmute();
    this.#changed(this);
  }

  /** A key in the sound stream (RFC 4733); one after the other, however fast they are pressed. */
  keypad(key) {
    const before = this.#keys;
    this.#keys = before.then(async () => {
      const senders = this.connection?.getSenders() ?? [];
      senders.find((one) => one.dtmf?.canInsertDTMF)?.dtmf.insertDTMF(key, KEY_MS, KEY_GAP_MS);
      await pause(KEY_MS + KEY_GAP_MS * 2);
    });
  }

  /** Give the call away, or put `other` in this phone's place. Answers whether the PBX did it. */
  refer(target, other = null) {
    const replaces = other && {
      _request: { call_id: other.call_id },
      _to_tag: other.#remoteTag,
      _from_tag: other.#localTag,
    };
    this.transfer = "asked";
    this.#changed(this);
    return new Promise((resolve) => {
      const told = (done) => () => {
        this.transfer = done ? "" : "failed";
        // Who has given a call away hangs up; the PBX does not do it for a phone.
        if (done) {
          this.#end();
          other?.hangUp();
        } else this.#changed(this);
        resolve(done);
      };
      const asked = this.#session.refer(target, {
        replaces,
        eventHandlers: { accepted: told(true), failed: told(false), requestFailed: told(false) },
      });
      if (!asked) told(false)();
      // An attended transfer may end this leg before it is told.
      this.#session.on("ended", () => resolve(true));
    });
  }

  /** This page has the call no more: not a word to the PBX, which may give it to another page. */
  forget() {
    const session = this.#session;
    this.#session = null;
    letGo(session);
    this.#ended("");
  }
}

/** The offer without this codec, as Asterisk names it. */
function withoutCodec(sdp, codec) {
  const name = NAMES_IN_SDP[codec] ?? codec;
  const types = [...sdp.matchAll(/^a=rtpmap:(\d+) ([^/]+)/gm)];
  const out = types.filter(([, , other]) => other.toLowerCase() === name).map(([, type]) => type);
  const stays = (type) => !out.includes(type);
  return sdp
    .replace(/^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) .*\r\n/gm, (line, type) => (stays(type) ? line : ""))
    .replace(/^(m=audio \d+ \S+ )([\d ]+)/m, (line, start, offered) => {
      return start + offered.trim().split(" ").filter(stays).join(" ");
    });
}

function letGo(session) {
  session?.connection?.close();
}

function stop(microphone) {
  for (const track of microphone?.getTracks() ?? []) track.stop();
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
