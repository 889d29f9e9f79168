// The microphone and the headset: permission, choice of devices, the open stream. Asks only when told
// to, keeps the stream open while calls may come, and says honestly what it has.

const KEPT = "deskbell:phone-devices";
const WANTED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Microphone {
  /** unknown, asked (permission not given yet), ready, denied, missing, insecure. */
  state = "unknown";
  inputs = [];
  outputs = [];
  /** Device ids: microphone, ear, ring. "" is the computer's own choice. */
  chosen = { microphone: "", ear: "", ring: "", ...kept() };
  #stream = null;
  #opening = null;
  #changed;

  /** changed() after the state, the devices or the choice changed. */
  constructor(changed) {
    this.#changed = changed;
    if (!navigator.mediaDevices) {
      this.state = "insecure";
      return;
    }
    navigator.mediaDevices.addEventListener("devicechange", () => this.#devicesChanged());
    this.#watchPermission();
  }

  async #watchPermission() {
    try {
      const permission = await navigator.permissions.query({ name: "microphone" });
      const look = () => {
        if (permission.state === "denied") this.#become("denied");
        else if (permission.state === "prompt") this.#become("asked");
        else this.look();
      };
      permission.addEventListener("change", look);
      look();
    } catch {
      this.#become("asked");
    }
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.#changed();
  }

  /** Read the list of devices anew. */
  async look() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const of = (kind) => devices.filter((one) => one.kind === kind && one.deviceId !== "");
    this.inputs = of("audioinput");
    this.outputs = of("audiooutput");
    this.state = this.inputs.length ? "ready" : "missing";
    this.#changed();
  }

  async #devicesChanged() {
    if (this.state === "asked" || this.state === "denied") return;
    await this.look();
    const track = this.#stream?.getAudioTracks()[0];
    if (track && track.readyState === "ended") await this.#openAnew();
  }

  /** Open the microphone (the browser asks its user if it never did). Answers whether it is open. */
  async open() {
    if (this.#stream?.active) return true;
    if (!navigator.mediaDevices) return false;
    this.#opening ??= this.#ask().finally(() => (this.#opening = null));
    return this.#opening;
  }

  async #ask() {
    const { microphone } = this.chosen;
    const audio = microphone ? { ...WANTED, deviceId: { ideal: microphone } } : WANTED;
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      this.#become(error.name === "NotAllowedError" ? "denied" : "missing");
      return false;
    }
    const [track] = this.#stream.getAudioTracks();
    track.addEventListener("ended", () => this.#openAnew());
    await this.look();
    return true;
  }

  /** Listeners of `onAnother` speak through the stream that is open then. */
  onAnother = () => {};

  async #openAnew() {
    this.close();
    if (await this.open()) this.onAnother();
  }

  /** A stream of one's own, since a call silences its track; null without a microphone. */
  async clone() {
    return (await this.open()) ? this.#stream.clone() : null;
  }

  get isOpen() {
    return this.#stream?.active ?? false;
  }

  close() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }

  /** Use another device for "microphone", "ear" or "ring", from now on and in calls under way. */
  async choose(purpose, device) {
    this.chosen[purpose] = device;
    localStorage[KEPT] = JSON.stringify(this.chosen);
    if (purpose === "microphone" && this.isOpen) await this.#openAnew();
    this.#changed();
  }

  /** How loud it is, from 0 to 1, while somebody looks: level(fn) answers what stops it. */
  level(fn) {
    if (!this.isOpen) return () => {};
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    context.createMediaStreamSource(this.#stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
      // From -60 dB (0) to 0 dB (1).
      fn(Math.max(0, Math.min(1, 1 + Math.log10(power + 1e-9) / 6)));
    }, 100);
    return () => {
      clearInterval(timer);
      context.close();
    };
  }
}

function kept() {
  try {
    return JSON.parse(localStorage[KEPT]);
  } catch {
    return {};
  }
}
