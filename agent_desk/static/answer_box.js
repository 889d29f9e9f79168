// What is being written in a conversation: an answer or a note, its files, what can be put in by / and
// @. A draft is kept on this computer at every key and on the server soon after.

import { el, icon, name, put, texts } from "./elements.js";
import { filled, words } from "./inbox_words.js";
import { shownSize } from "./message_view.js";
import { get, latest, post, Refused, send } from "./requests.js";

const PAUSE_MS = 700;
const AGAIN_MS = 3_000;
const TYPING_MS = 3_000;
const LOOK_MS = 120;
const KEPT_MS = 7 * 24 * 3_600_000;
/** What is being looked for, at the end of what stands before the cursor. */
const SLASH = /(?:^|\s)\/([\p{L}\p{N}-]{0,40})$/u;
const AT = /(?:^|[^\p{L}\p{N}])@([\p{L}\p{N}._-]{0,40})$/u;

export class AnswerBox {
  #place;
  #workplace;
  #conversation;
  #field;
  #id = null;
  #kind = "answer";
  #written = { answer: "", note: "" };
  #files = [];
  #timer = 0;
  #typedAt = 0;
  #sending = false;
  #saving = false;
  #saved = "";
  #key = null;
  #choices = [];
  #chosen = 0;
  #nextChoices = latest();
  #lookTimer = 0;

  constructor(place, workplace, conversation) {
    this.#place = place;
    this.#workplace = workplace;
    this.#conversation = conversation;
    this.#field = this.#part("answer-text");
    this.#listen();
    forgetOldOnes();
  }

  #part(which) {
    return this.#place.querySelector(`[data-${which}]`);
  }

  get isWriting() {
    return this.#field.value.trim() !== "";
  }

  get #way() {
    return this.#part("way").value;
  }

  // ---- opening and leaving -----------------------------------------------------------------------

  /** Write in this conversation; what was half written comes back. */
  open(line) {
    this.#id = line.id;
    this.#key = null;
    this.#shutOut(false);
    const kept = read(keyOf(line.id));
    const draft = kept && !kept.saved ? kept.draft : (line.draft ?? {});
    this.#written = { answer: draft.answer ?? "", note: draft.note ?? "" };
    this.#files = (line.draft?.files ?? []).map((file) => ({ ...file, state: "ok" }));
    this.#saved = JSON.stringify(line.draft ? this.#draft() : null);
    this.#drawWays(line, draft.channel);
    const kinds = this.#place.querySelectorAll("[name=answer-kind]");
    for (const box of kinds) box.disabled = box.value === "answer" && !line.may_answer;
    this.#choose(line.may_answer && !(this.#written.note && !this.#written.answer) ? "answer" : "note");
    this.#say("");
    this.#tell("");
    this.#drawFiles();
    put(this.#part("answer-hint"), line.may_answer ? "" : words.cannot_answer[line.why_not] ?? words.cannot_answer.other);
    if (kept && !kept.saved) this.#save();
  }

  close() {
    if (this.#id !== null && this.#isUnsaved()) this.#save();
    clearTimeout(this.#timer);
    this.#id = null;
    this.#shutOut(true);
    this.#field.value = "";
    this.#files = [];
    this.#shut();
  }

  /** What is written before the conversation is there would be written into nothing. */
  #shutOut(out) {
    for (const field of [this.#field, this.#part("attach"), this.#part("send")]) field.disabled = out;
  }

  #drawWays(line, wanted) {
    const select = this.#part("way");
    select.replaceChildren(
      ...line.ways.map((way) =>
        el("option", { value: way.channel }, `${texts.channel[way.channel]} · \u2068${way.shown}\u2069${way.trouble ? ` (${words.trouble[way.trouble] ?? way.trouble})` : ""}`),
      ),
    );
    if (wanted && line.ways.some((way) => way.channel === wanted)) select.value = wanted;
  }

  #choose(kind) {
    if (this.#id !== null) this.#written[this.#kind] = this.#kind === kind ? this.#written[kind] : this.#field.value;
    this.#kind = kind;
    for (const box of this.#place.querySelectorAll("[name=answer-kind]")) box.checked = box.value === kind;
    this.#field.value = this.#written[kind];
    this.#place.dataset.kind = kind;
    const isNote = kind === "note";
    this.#field.setAttribute("aria-label", isNote ? words.note_for_colleagues : words.answer);
    this.#field.placeholder = isNote ? words.note_placeholder : words.answer_placeholder;
    this.#part("way-field").hidden = isNote;
    this.#part("send-and-close").hidden = isNote;
    this.#place.querySelector(".answer-attach").hidden = isNote;
    this.#part("files").hidden = isNote;
    put(this.#part("send-word"), isNote ? words.keep_note : words.send);
    this.#drawSegments(null);
    this.#shut();
  }

  // ---- writing -----------------------------------------------------------------------------------

  #listen() {
    const field = this.#field;
    field.addEventListener("input", () => this.#typed());
    field.addEventListener("keydown", (event) => this.#pressed(event));
    field.addEventListener("blur", () => setTimeout(() => this.#shut(), 150));
    this.#place.addEventListener("change", (event) => {
      if (event.target.name === "answer-kind") {
        this.#choose(event.target.value);
        this.#field.focus();
      } else if (event.target === this.#part("way")) this.#typed();
      else if (event.target === this.#part("attach")) {
        this.#attach([...event.target.files]);
        event.target.value = "";
      }
    });
    this.#part("send").addEventListener("click", () => this.#send(false));
    this.#part("send-and-close").addEventListener("click", () => this.#send(true));
    for (const kind of ["dragover", "drop"]) {
      this.#place.addEventListener(kind, (event) => {
        if (!event.dataTransfer?.types.includes("Files") || this.#kind === "note") return;
        event.preventDefault();
        if (kind === "drop") this.#attach([...event.dataTransfer.files]);
      });
    }
    field.addEventListener("paste", (event) => {
      const pasted = [...(event.clipboardData?.files ?? [])];
      if (pasted.length === 0 || this.#kind === "note") return;
      event.preventDefault();
      this.#attach(pasted);
    });
    addEventListener("online", () => this.#isUnsaved() && this.#save());
    const isOpen = () => this.#id !== null;
    const write = (kind) => () => {
      const box = this.#place.querySelector(`[value=${kind}]`);
      if (!box.disabled) this.#choose(kind);
      this.#field.focus();
    };
    const { keys } = words;
    this.#workplace.command({ id: "inbox-answer", title: keys.answer, keys: "r", when: isOpen, run: write("answer") });
    this.#workplace.command({ id: "inbox-note", title: keys.note, keys: "n", when: isOpen, run: write("note") });
    this.#workplace.command({
      id: "inbox-send",
      title: keys.send,
      keys: "Ctrl+Enter",
      when: () => isOpen() && document.querySelector("dialog[open]") === null,
      run: () => this.#send(false),
    });
  }

  #typed() {
    if (this.#id === null) return;
    this.#key = null;
    this.#written[this.#kind] = this.#field.value;
    keep(this.#id, this.#draft(), false);
    this.#say(texts.saving);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), PAUSE_MS);
    clearTimeout(this.#lookTimer);
    this.#lookTimer = setTimeout(() => this.#look(), LOOK_MS);
    const now = Date.now();
    if (now - this.#typedAt > TYPING_MS && this.isWriting) {
      this.#typedAt = now;
      post(`/api/conversations/${this.#id}/typing`, { what: this.#kind }).catch(() => {});
    }
  }

  #draft() {
    return {
      answer: this.#written.answer,
      note: this.#written.note,
      channel: this.#way,
      attachments: this.#files.filter((file) => file.state === "ok").map((file) => file.id),
    };
  }

  #isUnsaved() {
    return this.#id !== null && read(keyOf(this.#id))?.saved === false;
  }

  async #save() {
    clearTimeout(this.#timer);
    const id = this.#id;
    if (id === null || this.#saving) return;
    const draft = this.#draft();
    this.#saving = true;
    let answer = null;
    try {
      answer = await post(`/api/conversations/${id}/draft`, draft, { keepalive: JSON.stringify(draft).length < 15_000 });
    } catch {
      answer = null;
    }
    this.#saving = false;
    if (answer && JSON.stringify(read(keyOf(id))?.draft ?? draft) === JSON.stringify(draft)) localStorage.removeItem(keyOf(id));
    if (this.#id !== id) return;
    if (answer === null) this.#say(texts.kept_here);
    else {
      this.#say(this.isWriting || this.#files.length ? texts.saved : "");
      this.#drawSegments(answer.segments);
    }
    if (answer === null || this.#isUnsaved()) {
      this.#timer = setTimeout(() => this.#save(), answer ? PAUSE_MS : AGAIN_MS);
    }
  }

  #drawSegments(segments) {
    const said =
      segments && this.#kind === "answer" && this.#way === "sms"
        ? filled(segments.cost ? words.segments_cost : words.segments_left, segments)
        : "";
    put(this.#part("segments"), said);
  }

  /** Put `text` where the cursor is. */
  insert(text) {
    const { selectionStart: from, selectionEnd: to } = this.#field;
    this.#field.setRangeText(text, from, to, "end");
    this.#field.focus();
    this.#typed();
  }

  quote(text) {
    this.#choose("answer");
    this.insert(`${text.trim().split("\n").map((part) => `> ${part}`).join("\n")}\n\n`);
  }

  // ---- what can be put in ------------------------------------------------------------------------

  async #look() {
    const before = this.#field.value.slice(0, this.#field.selectionStart);
    const slash = this.#kind === "answer" ? SLASH.exec(before) : null;
    const at = this.#kind === "note" ? AT.exec(before) : null;
    if (!slash && !at) {
      this.#shut();
      return;
    }
    if (at) {
      this.#offer(
        Object.entries(words.people)
          .filter(([login, whole]) => login !== texts.me && `${login} ${whole}`.toLocaleLowerCase().includes(at[1].toLocaleLowerCase()))
          .slice(0, 8)
          .map(([login, whole]) => ({ title: whole, detail: `@${login}`, length: at[1].length + 1, put: () => `@${login} ` })),
      );
      return;
    }
    const signal = this.#nextChoices();
    let found;
    try {
      found = await get("/api/texts", { find: slash[1], conversation: this.#id }, { signal });
    } catch {
      return;
    }
    if (signal.aborted) return;
    this.#offer(
      found.texts.slice(0, 8).map((one) => ({
        title: one.title,
        detail: `/${one.code}`,
        aside: one.language === found.language ? "" : (texts.languages[one.language] ?? one.language),
        preview: one.parts.map((part) => part.text).join(""),
        length: slash[1].length + 1,
        put: () => this.#canned(one, found.language),
      })),
    );
  }

  async #canned(one, language) {
    try {
      return (await post("/api/texts/use", { code: one.code, language, conversation: this.#id })).text;
    } catch (error) {
      this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
      return null;
    }
  }

  #offer(choices) {
    this.#choices = choices;
    this.#chosen = 0;
    const place = this.#part("choices");
    place.hidden = choices.length === 0;
    place.replaceChildren(
      ...choices.map((one, at) =>
        el(
          "div",
          { role: "option", id: `answer-choice-${at}`, class: "answer-choice", "aria-selected": "false", onmousedown: (event) => event.preventDefault(), onclick: () => this.#take(at) },
          el("strong", {}, name(one.title)),
          el("code", { dir: "ltr" }, one.detail),
          one.aside ? el("span", { class: "badge" }, one.aside) : null,
          one.preview ? el("span", { class: "muted answer-choice-text", dir: "auto" }, one.preview) : null,
        ),
      ),
    );
    this.#mark(0);
  }

  #mark(at) {
    const options = this.#part("choices").children;
    options[this.#chosen]?.setAttribute("aria-selected", "false");
    this.#chosen = at;
    const option = options[at];
    option?.setAttribute("aria-selected", "true");
    option?.scrollIntoView({ block: "nearest" });
    if (option) this.#field.setAttribute("aria-activedescendant", option.id);
    else this.#field.removeAttribute("aria-activedescendant");
  }

  #shut() {
    if (this.#choices.length) this.#offer([]);
  }

  async #take(at) {
    const one = this.#choices[at];
    const end = this.#field.selectionStart;
    const before = this.#field.value;
    this.#shut();
    const text = await one.put();
    if (text === null || this.#field.value !== before) return;
    this.#field.setSelectionRange(end - one.length, end);
    this.insert(text);
  }

  #pressed(event) {
    if (this.#choices.length && !event.isComposing) {
      const many = this.#choices.length;
      if (event.key === "ArrowDown") this.#mark((this.#chosen + 1) % many);
      else if (event.key === "ArrowUp") this.#mark((this.#chosen + many - 1) % many);
      else if ((event.key === "Enter" && !event.ctrlKey) || event.key === "Tab") this.#take(this.#chosen);
      else if (event.key === "Escape") {
        this.#shut();
        event.stopPropagation();
      } else return;
      event.preventDefault();
    }
  }

  // ---- files -------------------------------------------------------------------------------------

  async #attach(files) {
    const id = this.#id;
    const added = files.map((file) => ({ name: file.name, size: file.size, state: "sending" }));
    this.#files.push(...added);
    this.#drawFiles();
    for (const [place, file] of files.entries()) {
      const one = added[place];
      try {
        const query = new URLSearchParams({ name: file.name });
        Object.assign(one, await send(`/api/conversations/${id}/uploads?${query}`, file), { state: "ok" });
      } catch (error) {
        one.state = "refused";
        one.why = error instanceof Refused ? error.message : texts.try_again;
      }
      if (this.#id !== id) return;
      this.#drawFiles();
    }
    keep(id, this.#draft(), false);
    this.#save();
  }

  #drawFiles() {
    this.#part("files").replaceChildren(
      ...this.#files.map((file) =>
        el(
          "li",
          { class: "answer-file", "data-state": file.state },
          icon("page"),
          el("span", { dir: "auto" }, name(file.name)),
          el("span", { class: "muted" }, file.state === "sending" ? words.uploading : file.state === "refused" ? file.why : shownSize(file.size)),
          el(
            "button",
            { type: "button", class: "icon-button", "aria-label": filled(words.take_file_away, { name: file.name }), onclick: () => this.#drop(file) },
            icon("close"),
          ),
        ),
      ),
    );
  }

  #drop(file) {
    this.#files = this.#files.filter((one) => one !== file);
    this.#drawFiles();
    keep(this.#id, this.#draft(), false);
    this.#save();
    this.#field.focus();
  }

  // ---- sending -----------------------------------------------------------------------------------

  async #send(andClose) {
    const id = this.#id;
    const text = this.#field.value.trim();
    const isNote = this.#kind === "note";
    if (this.#files.some((file) => file.state === "sending") && !isNote) return this.#tell(words.still_uploading);
    const attachments = isNote ? [] : this.#draft().attachments;
    if (id === null || this.#sending || (!text && attachments.length === 0)) return undefined;
    this.#sending = true;
    this.#tell("");
    // The same key for the same answer: pressed twice, or sent again after a lost answer, it goes once.
    this.#key ??= crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    clearTimeout(this.#timer);
    try {
      if (isNote) await post(`/api/conversations/${id}/note`, { text, key: this.#key });
      else {
        await post(`/api/conversations/${id}/answer`, {
          text,
          attachments,
          channel: this.#way,
          key: this.#key,
          version: this.#conversation.line.version,
        });
      }
    } catch (error) {
      if (error instanceof Refused && error.status === 409) {
        // Nothing typed is lost: the text stays, what has changed is shown above it.
        await this.#conversation.movedOn(words.moved_on_answer);
      } else this.#tell(error instanceof Refused ? error.message : texts.try_again);
      return undefined;
    } finally {
      this.#sending = false;
    }
    localStorage.removeItem(keyOf(id));
    if (this.#id !== id) return undefined;
    this.#key = null;
    this.#written[this.#kind] = "";
    this.#field.value = "";
    if (!isNote) this.#files = [];
    this.#drawFiles();
    this.#say("");
    this.#drawSegments(null);
    if (isNote) this.#choose("answer");
    await this.#conversation.again();
    if (andClose) document.querySelector("[data-act=close]")?.click();
    return undefined;
  }

  /** Take back what has not gone out yet: it stands in the field again. */
  async takeBack(message) {
    try {
      const { text, files } = await post(`/api/conversations/${this.#id}/messages/${message}/take-back`);
      this.#choose("answer");
      this.#field.value = this.#field.value.trim() ? `${text}\n\n${this.#field.value}` : text;
      this.#files = [...files.map((file) => ({ ...file, state: "ok" })), ...this.#files];
      this.#drawFiles();
      this.#field.focus();
      this.#typed();
    } catch (error) {
      this.#workplace.say(error instanceof Refused ? error.message : texts.try_again);
    }
    await this.#conversation.again();
  }

  #say(text) {
    put(this.#part("draft-state"), text);
  }

  #tell(text) {
    const place = this.#part("answer-error");
    put(place, text);
    place.hidden = text === "";
  }
}

const keyOf = (id) => `deskbell:answer:${texts.me}:${id}`;

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep(id, draft, saved) {
  try {
    localStorage.setItem(keyOf(id), JSON.stringify({ draft, saved, at: Date.now() }));
  } catch {
    // The computer's storage is full or shut: the server's copy is the only one.
  }
}

function forgetOldOnes() {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("deskbell:answer:") && !(read(key)?.at > Date.now() - KEPT_MS)) localStorage.removeItem(key);
  }
}
