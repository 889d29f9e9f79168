// What the phone itself makes heard: ringing, the other side's ringing, busy, the tone before an
// automatic answer, a knock while one speaks. Made of tones; owns no call.

// Frequencies in hertz, then seconds on and off in turn; once, or until stopped.
const TONES = {
  ring: { hertz: [523, 659], pattern: [0.35, 0.15, 0.35, 2.4], volume: 0.25 },
  knock: { hertz: [523], pattern: [0.12, 4], volume: 0.08 },
  ring_back: { hertz: [425], pattern: [1, 4], volume: 0.1 },
  busy: { hertz: [425], pattern: [0.4, 0.4], volume: 0.1, seconds: 3.2 },
  written: { hertz: [587, 784], pattern: [0.09, 0.05, 0.14, 0], volume: 0.07, seconds: 0.3 },
  answer: { hertz: [660, 880], pattern: [0.12, 0.06, 0.12, 0], volume: 0.2, seconds: 0.3 },
};
const EDGE_SECONDS = 0.012;

export class PhoneSound {
  #context = null;
  #playing = null;
  #device = "";

  constructor() {
    // Browsers let a page sound only after somebody touched it.
    for (const touch of ["pointerdown", "keydown"]) {
      addEventListener(touch, () => this.#resume(), { capture: true, passive: true });
    }
  }

  /** A call could not be heard ringing until somebody touches the page. */
  get silenced() {
    return this.#context?.state === "suspended";
  }

  prepare() {
    this.#context ??= new AudioContext();
    this.#resume();
  }

  /** Which loudspeaker rings ("" is the computer's own choice). */
  async ringThrough(device) {
    this.#device = device;
    try {
      await this.#context?.setSinkId?.(device);
    } catch {
      // It was unplugged: the computer's own choice rings.
    }
  }

  /** Play `which` until another one is asked for, or it is over; null is silence. */
  play(which) {
    if (this.#playing?.which === which) return;
    this.#playing?.stop();
    this.#playing = null;
    if (which === null) return;
    this.prepare();
    this.#playing = { which, stop: this.#start(TONES[which]) };
  }

  /** The tone before an automatic answer; resolves when it was heard. */
  async beep() {
    this.play("answer");
    await new Promise((resolve) => setTimeout(resolve, TONES.answer.seconds * 1000));
    if (this.#playing?.which === "answer") this.play(null);
  }

  #resume() {
    if (this.#context?.state === "suspended") this.#context.resume().catch(() => {});
    if (this.#device) this.#context?.setSinkId?.(this.#device).catch(() => {});
  }

  #start({ hertz, pattern, volume, seconds = Infinity }) {
    const context = this.#context;
    const gate = context.createGain();
    gate.gain.value = 0;
    gate.connect(context.destination);
    const tones = hertz.map((frequency) => {
      const tone = context.createOscillator();
      tone.frequency.value = frequency;
      tone.connect(gate);
      tone.start();
      return tone;
    });
    const round = pattern.reduce((sum, one) => sum + one, 0);
    const begin = context.currentTime + 0.02;
    let planned = begin;
    const plan = () => {
      // A few rounds ahead: a page in the background gets its timers late.
      while (planned < context.currentTime + round + 6 && planned - begin < seconds) {
        let at = planned;
        pattern.forEach((length, place) => {
          if (place % 2 === 0) {
            gate.gain.setValueAtTime(0, at);
            gate.gain.linearRampToValueAtTime(volume, at + EDGE_SECONDS);
            gate.gain.setValueAtTime(volume, at + length - EDGE_SECONDS);
            gate.gain.linearRampToValueAtTime(0, at + length);
          }
          at += length;
        });
        planned += round;
      }
    };
    plan();
    const again = setInterval(plan, 1000);
    return () => {
      clearInterval(again);
      for (const tone of tones) tone.stop();
      gate.disconnect();
    };
  }
}
