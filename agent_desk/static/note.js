// The half-written note of a call: kept on this computer at every key, on the server soon after, and
// found again after a reload, a reconnect, or at another computer.

import { texts } from "./elements.js";
import { get, latest, post } from "./requests.js";

const PAUSE_MS = 700;
const AGAIN_MS = 3_000;
const KEPT_MS = 7 * 24 * 3_600_000;

export class Note {
  #field;
  #said;
  #call = null;
  #timer = 0;
  #sending = false;
  #nextReading = latest();

  constructor(field, said) {
    this.#field = field;
    this.#said = said;
    field.addEventListener("input", () => this.#written());
    addEventListener("online", () => this.#send());
    forgetOldOnes();
  }

  get text() {
    return this.#field.value;
  }

  /** Put `text` where the cursor is; nothing without a call. */
  insert(text) {
    if (this.#call === null) return;
    const { selectionStart: from, selectionEnd: to } = this.#field;
    this.#field.setRangeText(text, from, to, "end");
    this.#field.focus();
    this.#written();
  }

  /** Show the note of this call; null for no call. */
  async open(call) {
    const key = call && keyOf(call);
    if ((this.#call && keyOf(this.#call)) === key) return;
    this.#leave();
    const signal = this.#nextReading();
    this.#call = call;
    this.#field.disabled = call === null;
    this.#say("");
    if (call === null) {
      this.#field.value = "";
      return;
    }
    const kept = read(key);
    this.#field.value = kept?.text ?? "";
    if (kept && !kept.saved) {
      this.#send();
      return;
    }
    const before = this.#field.value;
    try {
      const { note } = await get("/api/call/note", { pbx: call.pbx, call: call.call }, { signal });
      // Whoever has begun to write meanwhile knows better.
      if (this.#call === call && this.#field.value === before && note) this.#field.value = note;
    } catch {
      // What is kept here stays; the server's comes with the next reload.
    }
  }

  /** The call is wrapped up: the server has the note. */
  forget(call) {
    localStorage.removeItem(keyOf(call));
    if (this.#call && keyOf(this.#call) === keyOf(call)) {
      clearTimeout(this.#timer);
      this.#call = null;
      this.#field.value = "";
      this.#field.disabled = true;
      this.#say("");
    }
  }

  /** The connection is back. */
  again() {
    if (this.#call && read(keyOf(this.#call))?.saved === false) this.#send();
  }

  #written() {
    if (this.#call === null) return;
    keep(this.#call, this.#field.value, false);
    this.#say(texts.saving);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#send(), PAUSE_MS);
  }

  #leave() {
    clearTimeout(this.#timer);
    if (this.#call && read(keyOf(this.#call))?.saved === false) this.#send();
  }

  async #send() {
    const call = this.#call;
    if (call === null || this.#sending) return;
    const note = this.#field.value;
    this.#sending = true;
    let saved = false;
    try {
      ({ saved } = await post(
        "/api/call/note",
        { pbx: call.pbx, call: call.call, note },
        { keepalive: note.length < 15_000 },
      ));
    } catch {
      saved = false;
    }
    this.#sending = false;
    if (saved && read(keyOf(call))?.text === note) keep(call, note, true);
    if (this.#call !== call) return;
    clearTimeout(this.#timer);
    if (!saved || this.#field.value !== note) {
      if (!saved) this.#say(texts.kept_here);
      this.#timer = setTimeout(() => this.#send(), saved ? PAUSE_MS : AGAIN_MS);
    } else this.#say(texts.saved);
  }

  #say(text) {
    this.#said.textContent = text;
  }
}

const keyOf = (call) => `deskbell:note:${texts.me}:${call.pbx}/${call.call}`;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(call, text, saved) {
  try {
    localStorage.setItem(keyOf(call), JSON.stringify({ text, saved, at: Date.now() }));
  } catch {
    // The computer's storage is full or shut: the server's copy is the only one.
  }
}

function forgetOldOnes() {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("deskbell:note:") && !(read(key)?.at > Date.now() - KEPT_MS)) {
      localStorage.removeItem(key);
    }
  }
}
