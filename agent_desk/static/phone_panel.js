// The phone's panel in the call bar: one row of buttons per call, the parked calls, and what the agent
// must know of the phone itself. Every button is a verb with a name and, mostly, a key.

import { el, icon, name, show, textsOf } from "./elements.js";
import { count } from "./moments.js";
import { Phone } from "./phone.js";
import { Keypad, WhereTo } from "./phone_dialogs.js";
import { mountStatus } from "./phone_status.js";
import { get, Refused } from "./requests.js";
import { whoIs } from "./workplace.js";

const texts = textsOf("phone");

export function mount(place, workplace) {
  const panel = new PhonePanel(place, workplace, new Phone());
  mountStatus(document.querySelector("[data-phone-menu]"), panel, workplace);
  panel.start();
}

class PhonePanel {
  phone;
  #workplace;
  #notices;
  #legs;
  #parked;
  #keypad;
  #whereTo;
  #answeredByItself = new Set();

  constructor(place, workplace, phone) {
    this.phone = phone;
    this.#workplace = workplace;
    this.#notices = place.querySelector("[data-phone-notices]");
    this.#legs = place.querySelector("[data-legs]");
    this.#parked = place.querySelector("[data-parked]");
    this.#keypad = new Keypad(place.querySelector("[data-keypad]"));
    this.#whereTo = new WhereTo(place.querySelector("[data-phone-to]"), workplace);
  }

  start() {
    const { phone } = this;
    phone.onRefused = (error) => this.#say(error);
    phone.answersItself = (leg) => this.#answeredByItself.has(this.#document(leg)?.queue);
    this.#commands();
    let reached = false;
    phone.listen(() => {
      if (reached !== (reached = phone.registered) && reached) this.#workplace.lookAlive();
      this.#draw();
    });
    let served = "";
    this.#workplace.listen(({ state }) => {
      phone.keepOpen(state !== null && state.state !== "offline");
      this.#draw();
      if (state && served !== (served = state.queues.join())) this.#learnQueues();
    });
    this.#workplace.follow("parked", (documents) => this.#drawParked([...documents.values()]));
    this.#workplace.phone = phone;
    phone.start();
  }

  /** Which queues' calls are answered by the phone itself: asked whenever others are served. */
  async #learnQueues() {
    try {
      const { queues } = await get("/api/me");
      const found = queues.filter((queue) => queue.auto_answer);
      this.#answeredByItself = new Set(found.map((queue) => queue.name));
    } catch {
      // As it was; the agent answers by hand.
    }
  }

  /** Do it, and say in words what went wrong. */
  async attempt(action) {
    try {
      return await action();
    } catch (error) {
      this.#say(error);
      return null;
    }
  }

  #say(error) {
    if (!(error instanceof Refused)) console.error(error);
    const own = error instanceof Refused && (texts[error.message] ?? error.message);
    this.#workplace.say(own || texts.cause.failed);
  }

  // ---- verbs -------------------------------------------------------------------------------------

  /** The call that keys act on: the one spoken with, else the one that rings, else one that waits. */
  get #current() {
    const { phone } = this;
    return ["answered", "calling", "held"].map((state) => phone.find(state)).find(Boolean) ?? null;
  }

  #commands() {
    const { phone } = this;
    const { verb } = texts;
    const live = () => this.#current?.live ?? false;
    const command = (id, title, keys, when, run) =>
      this.#workplace.command({ id: `phone-${id}`, title, keys, when, run: () => this.attempt(run) });
    const ringing = () => phone.find("ringing") !== null;
    command("answer", verb.answer, "a", ringing, () => phone.answer());
    command("decline", verb.decline, "d", ringing, () => phone.decline());
    command("hang-up", verb.hang_up, "x", () => this.#current !== null, () => phone.hangUp(this.#current));
    command("hold", `${verb.hold} / ${verb.resume}`, "h", live, () => this.#hold(this.#current));
    command("switch", verb.switch, "w", () => phone.find("held") !== null, () => phone.resume(phone.find("held")));
    command("mute", `${verb.mute} / ${verb.unmute}`, "m", live, () => phone.mute(this.#current));
    command("keypad", verb.keypad, "k", live, () => this.#keypad.open(this.#current));
    command("transfer", verb.transfer, "t", live, () => this.#transfer(this.#current));
    command("park", verb.park, "p", live, () => this.#park(this.#current));
    command("record", `${verb.pause_recording} / ${verb.go_on_recording}`, "r", live, () =>
      this.#toggleRecording(this.#current),
    );
    command("call", texts.call_somebody, "c", () => phone.registered, () => this.callSomebody());
    command("redial", verb.redial, [], () => phone.lastDialled !== "", () => phone.dial(phone.lastDialled));
  }

  async #hold(leg) {
    if (leg.state === "held") await this.phone.resume(leg);
    else await this.phone.hold(leg);
  }

  async #park(leg) {
    const space = await this.phone.park(leg);
    this.#workplace.say(texts.parked_at.replace("%(space)s", space));
  }

  #toggleRecording(leg) {
    const paused = this.#document(leg)?.recording === "paused";
    return this.phone.record(leg, paused ? "resume" : "pause");
  }

  callSomebody() {
    this.#whereTo.open({
      title: texts.call_somebody,
      verbs: [{ id: "call", icon: "answer", run: (to, who) => this.phone.connect(to, { name: who }) }],
      ringing: {
        id: "pick_up",
        icon: "bell",
        run: (to) => this.phone.connect(to, { pick_up: true }),
      },
    });
  }

  #transfer(leg) {
    const title = texts.give_away.replace("%(who)s", this.#who(leg));
    this.#whereTo.open({
      title,
      verbs: [
        { id: "ask_first", icon: "phone", run: (to, who) => this.phone.consult(leg, to, who) },
        { id: "transfer_now", icon: "transfer", run: (to) => this.#giveAway(leg, to) },
      ],
    });
  }

  #transferAtTheDeskPhone(leg) {
    this.#whereTo.open({
      title: texts.give_away.replace("%(who)s", this.#who(leg)),
      verbs: [{ id: "transfer_now", icon: "transfer", run: (to) => this.phone.sendOn(leg, to) }],
    });
  }

  async #giveAway(leg, to) {
    const was = leg.state;
    if (await this.phone.transfer(leg, to)) return;
    if (was === "answered" && leg.state === "held") await leg.resume();
    throw new Refused(0, "transfer_failed");
  }

  async #complete(leg, asked) {
    if (!(await this.phone.complete(leg, asked))) throw new Refused(0, "transfer_failed");
  }

  // ---- what is shown -----------------------------------------------------------------------------

  #document({ pbx, call }) {
    if (!call) return null;
    return this.#workplace.calls.find((one) => one.pbx === pbx && one.call === call) ?? null;
  }

  #who(leg) {
    const document = this.#document(leg);
    // Whom one asks first is known by name; the call itself knows only an extension.
    if (leg.consults && leg.name) return leg.name;
    const shown = document && whoIs(document, this.#workplace.popOf(document));
    return shown || leg.name || leg.number || texts.withheld;
  }

  #draw() {
    this.#drawNotices();
    const legs = this.phone.problem === "desk" ? this.#callsAtTheDeskPhone() : this.phone.legs;
    const rows = new Map([...this.#legs.children].map((row) => [row.id, row]));
    for (const leg of legs) {
      const row = rows.get(leg.id) ?? this.#newRow(leg);
      rows.delete(leg.id);
      this.#drawRow(row, leg);
    }
    for (const row of rows.values()) row.remove();
  }

  /** A desk phone has its own buttons; what only the PBX can do is offered here. */
  #callsAtTheDeskPhone() {
    return this.#workplace.calls
      .filter(({ state }) => state === "answered" || state === "held")
      .map(({ key, pbx, call, state, answered_at }) => {
        const shown = { id: `desk-${key}`, pbx, call, state, since: answered_at };
        return { ...shown, cause: "", live: true, isElsewhere: true };
      });
  }

  #newRow(leg) {
    const row = el(
      "li",
      { class: "leg", id: leg.id },
      el("p", { class: "leg-who" }, el("span", { class: "leg-name" }), " ", el("span", { class: "leg-state" }), " ", el("span", { class: "timer" })),
      el("p", { class: "leg-recording", role: "status" }),
      el("div", { class: "leg-verbs", role: "group" }),
    );
    this.#legs.append(row);
    return row;
  }

  #drawRow(row, leg) {
    const who = this.#who(leg);
    const shownAbove = this.phone.legs.length <= 1 && this.#document(leg) === this.#workplace.call;
    row.dataset.state = leg.state;
    row.classList.toggle("leg-shown-above", shownAbove && leg.cause === "");
    const said = leg.returning ? "returning" : leg.state;
    show(row.querySelector(".leg-name"), who, () => name(who));
    const state = texts.cause[leg.cause] ?? texts.state[said];
    show(row.querySelector(".leg-state"), state, () => state);
    count(row.querySelector(".timer"), leg.live ? leg.since : null);
    const recording = leg.live ? (this.#document(leg)?.recording ?? "off") : "off";
    this.#drawRecording(row.querySelector(".leg-recording"), recording);
    const group = row.querySelector(".leg-verbs");
    group.setAttribute("aria-label", who);
    const verbs = this.#verbs(leg, recording);
    const focused = group.contains(document.activeElement) && document.activeElement.dataset.verb;
    const drawn = show(
      group,
      verbs.map(({ id, title, pressed }) => [id, title, pressed]),
      () => verbs.map((verb) => this.#button(verb)),
    );
    if (drawn && focused) {
      (group.querySelector(`[data-verb=${focused}]`) ?? group.querySelector("button"))?.focus();
    }
  }

  #drawRecording(place, recording) {
    place.hidden = recording === "off";
    place.dataset.recording = recording;
    const text = recording === "paused" ? texts.recording_paused : texts.recording_on;
    show(place, recording, () => [el("span", { class: "recording-dot", "aria-hidden": "true" }), text]);
  }

  #button({ id, picture, title, pressed, main, run }) {
    return el(
      "button",
      {
        type: "button",
        class: `button verb${main ? ` verb-${main}` : ""}`,
        "data-verb": id,
        "aria-pressed": pressed === undefined ? null : String(pressed),
        onclick: () => this.attempt(run),
      },
      icon(picture),
      el("span", {}, title),
    );
  }

  /** What can be done with this call now, in the order of the buttons. */
  #verbs(leg, recording) {
    const { phone } = this;
    const { verb } = texts;
    const one = (id, picture, run, more = {}) => ({ id, picture, run, title: verb[id], ...more });
    if (leg.isElsewhere) {
      const other = this.#callsAtTheDeskPhone().find(({ id }) => id !== leg.id);
      return [
        one("transfer", "transfer", () => this.#transferAtTheDeskPhone(leg)),
        ...(other ? [one("conference", "conference", () => phone.conference(leg, other))] : []),
        one("park", "park", () => this.#park(leg)),
        ...this.#recordingVerbs(leg, recording, one),
        one("hang_up", "hang-up", () => phone.endThere(leg), { main: "bad" }),
      ];
    }
    if (leg.state === "ringing") {
      return [
        one("answer", "answer", () => phone.answer(leg), { main: "good" }),
        one("decline", "hang-up", () => phone.decline(leg), { main: "bad" }),
      ];
    }
    const end = one("hang_up", "hang-up", () => phone.hangUp(leg), { main: "bad" });
    if (leg.state === "ended") return [];
    const waiting = phone.legs.find((other) => other !== leg && other.state === "held");
    const customer = leg.consults?.live ? leg.consults : waiting;
    const consultation = customer
      ? [
          one("complete", "transfer", () => this.#complete(customer, leg), { main: "accent" }),
          one("take_back", "resume", () => phone.takeBack(customer, leg)),
        ]
      : [];
    if (leg.state === "calling") return [...(leg.consults ? consultation : []), end];
    const held = leg.state === "held";
    const speaking = phone.find("answered");
    const verbs = held
      ? [one("hold", "resume", () => phone.resume(leg), { title: speaking ? verb.switch : verb.resume })]
      : [
          one("hold", "hold", () => phone.hold(leg)),
          one("mute", leg.muted ? "microphone-off" : "microphone", () => phone.mute(leg), {
            title: leg.muted ? verb.unmute : verb.mute,
            pressed: leg.muted,
          }),
          one("keypad", "keypad", () => this.#keypad.open(leg)),
        ];
    if (!held && customer) {
      verbs.push(...consultation);
      if (leg.call && customer.call) {
        verbs.push(one("conference", "conference", () => phone.conference(customer, leg)));
      }
    } else if (!speaking || !held) {
      verbs.push(one("transfer", "transfer", () => this.#transfer(leg)));
    }
    if (leg.call && !leg.consults && !(held && speaking)) {
      verbs.push(one("park", "park", () => this.#park(leg)));
      verbs.push(...this.#recordingVerbs(leg, recording, one));
    }
    return [...verbs, end];
  }

  #recordingVerbs(leg, recording, one) {
    const { phone } = this;
    if (recording === "off") return [one("record", "record", () => phone.record(leg, "start"))];
    const toggle = recording === "paused" ? "go_on_recording" : "pause_recording";
    return [
      {
        ...one(toggle, recording === "paused" ? "record" : "pause", () => this.#toggleRecording(leg)),
        id: "pause_recording",
        pressed: recording === "paused",
      },
      one("stop_recording", "stop", () => phone.record(leg, "stop")),
    ];
  }

  #drawNotices() {
    const { phone } = this;
    const notices = [];
    if (phone.owner !== "this_tab") {
      notices.push([texts[phone.owner], texts.use_here, () => phone.useHere()]);
    } else if (phone.problem !== "desk") {
      if (texts[phone.problem]) notices.push([texts[phone.problem]]);
      const { state } = phone.microphone;
      if (state === "asked") {
        notices.push([texts.microphone.asked, texts.allow, () => phone.microphone.open()]);
      } else if (texts.microphone[state]) notices.push([texts.microphone[state]]);
      else if (phone.sound.silenced) notices.push([texts.silenced]);
    }
    show(this.#notices, notices.map(([text]) => text), () =>
      notices.map(([text, title, run]) =>
        el(
          "p",
          { class: "notice phone-notice" },
          el("span", {}, text),
          title && el("button", { type: "button", class: "button", onclick: () => this.attempt(run) }, title),
        ),
      ),
    );
  }

  #drawParked(parked) {
    show(
      this.#parked,
      parked.map((one) => [one.space, one.shown_caller, one.caller_name]),
      () =>
        parked.map((one) =>
          el(
            "li",
            { class: "parked-call" },
            el("span", {}, texts.parked_at.replace("%(space)s", one.space), ": "),
            name(one.caller_name || one.shown_caller || texts.withheld),
            el(
              "button",
              { type: "button", class: "button", "data-pick-up": one.space, onclick: () => this.phone.dial(one.space) },
              icon("answer"),
              texts.verb.pick_up,
            ),
          ),
        ),
    );
  }
}
