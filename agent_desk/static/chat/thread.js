// The messages, in order. The desk's numbers say what is there already; what is not kept yet stands
// at the end.

const LARGEST_PREVIEW = 5000000;

class Thread {
  constructor(chat) {
    this.chat = chat;
    this.shown = new Map();
    this.waiting = new Map();
    this.newest = 0;
    this.items = make("ol", {});
    this.list = make("div", { class: "messages", role: "log", "aria-live": "polite" }, this.items);
    this.below = make(
      "button",
      { class: "below", type: "button", hidden: true, onclick: () => this.toEnd() },
      picture("down"),
      chat.words.new_messages,
    );
    this.typing = make("p", { class: "typing", "aria-live": "polite" });
    this.list.addEventListener("scroll", () => {
      if (this.isAtEnd()) this.below.hidden = true;
    });
    this.list.setAttribute("aria-label", chat.words.messages);
    this.list.tabIndex = 0;
  }

  isAtEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.below.hidden = true;
  }

  // Put messages where their numbers say; how many of them are the house's and were not here.
  add(messages, isHistory) {
    const stay = this.isAtEnd();
    // A whole conversation that is read out again at each page would be unbearable.
    this.list.setAttribute("aria-live", isHistory ? "off" : "polite");
    let fresh = 0;
    for (const message of messages) {
      if (message.key) this.drop(message.key);
      if (this.shown.has(message.id)) continue;
      const line = this.line(message);
      const later = Array.from(this.shown.keys()).filter((id) => id > message.id);
      const place = later.length
        ? this.shown.get(Math.min(...later))
        : (this.waiting.values().next().value ?? null);
      this.items.insertBefore(line, place);
      this.shown.set(message.id, line);
      if (message.by !== "visitor") {
        this.types("");
        this.newest = Math.max(this.newest, message.id);
        fresh += 1;
      }
    }
    if (stay || isHistory) this.toEnd();
    else if (fresh) this.below.hidden = false;
    return fresh;
  }

  line(message) {
    const mine = message.by === "visitor";
    const at = new Date(message.at * 1000);
    const name = mine ? this.chat.words.you : message.name || this.chat.house;
    const line = make(
      "li",
      { class: `message ${mine ? "mine" : "theirs"}`, "data-id": message.id },
      make("p", { class: "who" }, make("bdi", {}, name), " ", this.time(at)),
    );
    if (message.text) line.append(make("p", { class: "text", dir: "auto" }, ...withLinks(message.text)));
    for (const file of message.files || []) line.append(this.file(file));
    return line;
  }

  time(at) {
    const today = at.toDateString() === new Date().toDateString();
    const form = { hour: "2-digit", minute: "2-digit", ...(today ? {} : { day: "numeric", month: "short" }) };
    const shown = new Intl.DateTimeFormat(this.chat.language, form).format(at);
    return make("time", { datetime: at.toISOString() }, shown);
  }

  // What was just written and is not kept yet.
  wait(key, text) {
    if (this.waiting.has(key)) return;
    const state = make("p", { class: "state" }, this.chat.words.sending);
    const line = make(
      "li",
      { class: "message mine unsent" },
      make("p", { class: "text", dir: "auto" }, ...withLinks(text)),
      state,
    );
    this.items.append(line);
    this.waiting.set(key, line);
    this.toEnd();
  }

  refuse(key, why) {
    const line = this.waiting.get(key);
    if (!line) return;
    const words = this.chat.words;
    line.classList.add("refused");
    line.querySelector(".state").textContent = words["refused_" + why] || words.not_sent;
    this.waiting.delete(key);
  }

  drop(key) {
    this.waiting.get(key)?.remove();
    this.waiting.delete(key);
  }

  types(name) {
    this.typing.textContent = name ? filled(this.chat.words.is_writing, { name: `\u2068${name}\u2069` }) : "";
    this.typing.classList.toggle("on", Boolean(name));
  }

  file(file) {
    const words = this.chat.words;
    const name = make("bdi", {}, file.name);
    if (file.refused) {
      const why = words["file_" + file.refused] || words.file_refused;
      return make("p", { class: "file refused" }, picture("file"), name, " ", why);
    }
    const size = make("span", { class: "size" }, shownSize(file.size, this.chat.language));
    const button = make(
      "button",
      { class: "file", type: "button", onclick: () => this.save(file) },
      picture("file"),
      name,
      size,
    );
    const pictures = ["image/png", "image/jpeg", "image/gif", "image/webp"];
    if (pictures.includes(file.media_type) && file.size <= LARGEST_PREVIEW) this.preview(file, button);
    return button;
  }

  async fetched(file) {
    const answer = await this.chat.connection.ask("/chat/files/" + file.id);
    if (!answer.ok) throw new Error("the file is not there");
    return answer.blob();
  }

  // Drawn, not linked: the shop's policy need not allow any pictures of ours.
  async preview(file, button) {
    try {
      const image = await createImageBitmap(await this.fetched(file));
      const scale = Math.min(1, 220 / image.width, 220 / image.height);
      const canvas = make("canvas", {
        width: Math.max(1, Math.round(image.width * scale)),
        height: Math.max(1, Math.round(image.height * scale)),
        "aria-hidden": "true",
      });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      const stay = this.isAtEnd();
      button.prepend(canvas);
      button.classList.add("drawn");
      if (stay) this.toEnd();
    } catch {
      // Its name is there, and it can be saved.
    }
  }

  async save(file) {
    try {
      const address = URL.createObjectURL(await this.fetched(file));
      make("a", { href: address, download: file.name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    } catch {
      this.chat.say(this.chat.words.file_away);
    }
  }
}
