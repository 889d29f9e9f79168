// The panel: the conversation's frame, and what the desk says put into it.

class Chat {
  constructor(desk, options) {
    this.desk = desk;
    this.options = options;
    this.language = options.language;
    this.words = LABELS[this.language];
    this.storage = new Storage();
    this.connection = new Connection(desk, this.storage, (news) => this.hear(news));
    this.opening = null;
    this.house = "";
    this.me = {};
    this.unseen = 0;
    this.toldSeen = 0;
    this.lastTyped = 0;
    this.isOpen = false;
    this.build();
    document.addEventListener("visibilitychange", () => this.tellSeen());
    if (this.storage.kept.token) this.goOn();
  }

  build() {
    this.host = make("div", { class: "deskbell-chat", lang: this.language });
    this.root = this.host.attachShadow({ mode: "open" });
    if ("adoptedStyleSheets" in this.root) {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      this.root.adoptedStyleSheets = [sheet];
    } else {
      this.root.append(make("style", {}, STYLE));
    }
    this.badge = make("span", { class: "badge", hidden: true });
    this.launcher = make(
      "button",
      {
        class: "launcher",
        type: "button",
        "aria-haspopup": "dialog",
        "aria-expanded": "false",
        onclick: () => (this.isOpen ? this.close() : this.open()),
      },
      picture("chat"),
      make("span", { class: "launcher-text" }, this.words.launcher),
      this.badge,
    );
    this.said = make("p", { class: "unseen", role: "status" });
    this.panel = make("section", {
      class: "panel",
      role: "dialog",
      hidden: true,
      "aria-label": this.words.launcher,
      onkeydown: (event) => this.key(event),
    });
    this.frame = make("div", { class: "frame", dir: this.direction() }, this.panel, this.launcher, this.said);
    for (const [name, value] of Object.entries(this.options.look)) this.frame.setAttribute(name, value);
    if (this.options.accent) this.colour(this.options.accent);
    this.root.append(this.frame);
    (document.body || document.documentElement).append(this.host);
  }

  direction() {
    return this.language === "fa" ? "rtl" : "ltr";
  }

  // The shop's own colour, and black or white on it, whichever is read better.
  colour(accent) {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const part = parseInt(accent.slice(at, at + 2), 16) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    this.frame.style.setProperty("--accent", accent);
    this.frame.style.setProperty("--on-accent", light > 0.179 ? "#000000" : "#ffffff");
  }

  async open(options = {}) {
    if (options.topic) this.options.topic = options.topic;
    if (!this.isOpen) {
      this.isOpen = true;
      this.panel.hidden = false;
      this.frame.classList.add("open");
      this.launcher.setAttribute("aria-expanded", "true");
      if (!this.opening) this.panel.replaceChildren(...this.head(), make("p", { class: "loading" }, this.words.loading));
    }
    if (!(await this.load())) {
      this.panel.replaceChildren(...this.head(), make("p", { class: "problem", role: "alert" }, this.words.away));
      this.panel.querySelector("button").focus();
      return;
    }
    if (this.storage.kept.token) this.showThread();
    else this.showStart();
  }

  close() {
    this.isOpen = false;
    this.panel.hidden = true;
    this.frame.classList.remove("open");
    this.launcher.setAttribute("aria-expanded", "false");
    this.launcher.focus();
  }

  // The words and what is open now; asked for only when somebody wants to chat.
  async load() {
    if (this.opening) return true;
    try {
      const answer = await this.connection.ask("/chat/opening?language=" + this.language);
      if (!answer.ok) return false;
      this.opening = await answer.json();
    } catch {
      return false;
    }
    this.words = this.opening.words;
    this.house = this.opening.house;
    this.panel.setAttribute("aria-label", filled(this.words.chat_with, { house: this.house }));
    return true;
  }

  async goOn() {
    if (await this.load()) this.connection.open();
    else setTimeout(() => this.goOn(), 15000);
  }

  head(...buttons) {
    this.title = make("h2", {}, make("bdi", {}, this.house || this.words.launcher));
    this.stand = make("p", { class: "stand", role: "status" });
    return [
      make(
        "div",
        { class: "head" },
        make("div", { class: "titles" }, this.title, this.stand),
        ...buttons,
        make(
          "button",
          { class: "icon", type: "button", "aria-label": this.words.minimise, onclick: () => this.close() },
          picture("down"),
        ),
      ),
    ];
  }

  showStart() {
    const [form, first] = startForm(this, (told, remember) => this.begin(told, remember));
    this.thread = null;
    this.panel.replaceChildren(...this.head(), make("div", { class: "scroll" }, form));
    first.focus({ preventScroll: true });
  }

  // "" when the chat has begun, else which field is wrong.
  async begin(told, remember) {
    try {
      const answer = await this.connection.ask("/chat/sessions", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          ...told,
          consent: true,
          language: this.language,
          customer: this.options.customer,
          page: { address: location.origin + location.pathname, title: document.title.slice(0, 200) },
        }),
      });
      const said = await answer.json();
      if (!answer.ok) return said.problem || "other";
      this.storage.begin(said.token, remember);
    } catch {
      return "away";
    }
    this.showThread();
    return "";
  }

  showThread() {
    if (!this.thread) {
      this.thread = new Thread(this);
      const words = this.words;
      this.input = make("textarea", {
        rows: 1,
        maxlength: this.opening.longest_text,
        placeholder: words.write,
        "aria-label": words.write,
        dir: "auto",
        value: this.storage.kept.draft,
        oninput: () => this.typed(),
        onkeydown: (event) => {
          if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            this.send();
          }
        },
      });
      this.chooser = make("input", { type: "file", hidden: true, onchange: () => this.attach() });
      this.form = make("div", { class: "over", hidden: true });
      this.menu = this.actions();
      this.problem = make("p", { class: "problem", role: "alert" });
      this.panel.replaceChildren(
        ...this.head(...this.menu),
        make("div", { class: "talk" }, this.thread.list, this.thread.below, this.thread.typing),
        this.form,
        this.problem,
        make(
          "form",
          {
            class: "composer",
            onsubmit: (event) => {
              event.preventDefault();
              this.send();
            },
          },
          make(
            "button",
            { class: "icon", type: "button", "aria-label": words.attach, onclick: () => this.chooser.click() },
            picture("clip"),
          ),
          this.chooser,
          this.input,
          make("button", { class: "icon main", type: "submit", "aria-label": words.send }, picture("send")),
        ),
      );
      for (const one of this.storage.kept.unsent) this.thread.wait(one.key, one.text);
      if (this.history) this.thread.add(this.history, true);
      this.showStand();
    }
    this.connection.open();
    if (this.isOpen) this.input.focus({ preventScroll: true });
    this.thread.toEnd();
    this.tellSeen();
  }

  actions() {
    const words = this.words;
    const list = make("div", { class: "menu", hidden: true });
    const button = make(
      "button",
      {
        class: "icon",
        type: "button",
        "aria-label": words.more,
        "aria-expanded": "false",
        onclick: () => {
          list.hidden = !list.hidden;
          button.setAttribute("aria-expanded", String(!list.hidden));
          if (!list.hidden) list.querySelector("button").focus();
        },
      },
      picture("more"),
    );
    const choose = (work) => () => {
      list.hidden = true;
      button.setAttribute("aria-expanded", "false");
      work();
    };
    for (const [text, work] of [
      [words.transcript, () => this.openForm(transcriptForm(this))],
      [words.reach, () => this.openForm(reachForm(this))],
      [words.proof, () => this.openForm(proofForm(this))],
      [words.end, () => this.end()],
    ]) {
      list.append(make("button", { type: "button", onclick: choose(work) }, text));
    }
    this.menuList = list;
    this.menuButton = button;
    return [button, list];
  }

  openForm(form) {
    this.form.replaceChildren(form);
    this.form.hidden = false;
    form.querySelector("input").focus();
  }

  closeForm() {
    this.form.hidden = true;
    this.form.replaceChildren();
    this.input.focus();
  }

  typed() {
    this.storage.change({ draft: this.input.value });
    this.grow();
    const now = Date.now();
    if (now - this.lastTyped > 3000) {
      this.lastTyped = now;
      this.connection.say({ typing: true });
    }
    clearTimeout(this.stopped);
    this.stopped = setTimeout(() => {
      this.lastTyped = 0;
      this.connection.say({ typing: false });
    }, 5000);
  }

  grow() {
    this.input.rows = Math.min(5, this.input.value.split("\n").length + Math.floor(this.input.value.length / 44));
  }

  send() {
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    this.grow();
    clearTimeout(this.stopped);
    this.lastTyped = 0;
    this.storage.change({ draft: "" });
    this.thread.wait(this.connection.write(text), text);
    this.input.focus();
  }

  async attach() {
    const file = this.chooser.files[0];
    this.chooser.value = "";
    if (!file) return;
    const words = this.words;
    this.problem.textContent = "";
    if (file.size > this.opening.largest_file) {
      const most = shownSize(this.opening.largest_file, this.language);
      this.problem.textContent = filled(words.file_most, { size: most });
      return;
    }
    const key = newKey();
    this.thread.wait(key, file.name);
    try {
      const answer = await this.connection.ask("/chat/files", {
        method: "POST",
        headers: {
          "Content-Type": "application/octet-stream",
          "X-File-Name": encodeURIComponent(file.name.slice(0, 200)),
          "X-Key": key,
        },
        body: file,
      });
      const said = await answer.json();
      if (answer.ok) {
        if (this.history) this.history.push(said.message);
        this.thread.add([said.message]);
      }
      else this.thread.refuse(key, said.problem || "other");
    } catch {
      this.thread.refuse(key, "away");
    }
  }

  end() {
    this.connection.say({ end: true });
    this.hear({ over: true });
    this.connection.close();
  }

  hear(news) {
    if (news.welcome) {
      this.me = news.welcome;
      this.history = news.messages;
      this.isDown = false;
      if (this.thread) this.take(news.messages, this.thread.shown.size === 0);
      else this.count(news.messages.filter((one) => one.by !== "visitor" && one.id > this.me.seen).length);
    } else if (news.messages) {
      if (this.history) this.history.push(...news.messages);
      this.take(news.messages, false);
    }
    if (news.me) this.me = news.me;
    if (news.stand) this.standing = news.stand;
    if ("typing" in news && this.thread) this.thread.types(news.typing);
    if (news.refused && !news.wait_s && this.thread) this.thread.refuse(news.refused, news.why);
    if (news.proof) this.prove(news.proof);
    if (news.transcript) this.tell("transcript", news.transcript);
    if (news.reach) this.tell("reach", news.reach);
    if (news.down) this.isDown = true;
    if (news.over) this.isOver();
    this.showStand();
  }

  take(messages, isHistory) {
    const fresh = this.thread ? this.thread.add(messages, isHistory) : 0;
    if (!this.isOpen && !isHistory) {
      this.count(this.thread ? fresh : messages.filter((one) => one.by !== "visitor").length);
    }
    this.tellSeen();
  }

  count(more) {
    this.unseen += more;
    this.badge.textContent = String(this.unseen);
    this.badge.hidden = !this.unseen;
    if (more) this.say(this.words.new_messages);
  }

  tellSeen() {
    if (!this.isOpen || !this.thread || document.hidden) return;
    this.unseen = 0;
    this.badge.hidden = true;
    if (this.connection.isUp && this.thread.newest > this.toldSeen) {
      this.toldSeen = this.thread.newest;
      this.connection.say({ seen: this.toldSeen });
    }
  }

  prove(said) {
    if (!this.thread) return;
    const words = this.words;
    const form = this.form.querySelector("form");
    if (said === "asked") this.openForm(proofForm(this));
    else if (said === "sent") this.openForm(codeForm(this));
    else if (said === "done") {
      this.closeForm();
      this.say(words.proof_done);
    } else if (form) form.tell(words["proof_" + said] || words.problem_other);
  }

  // The answer to a small form that is done with.
  tell(what, said) {
    const form = this.form?.querySelector("form");
    if (!form) return;
    if (said === "done") {
      this.closeForm();
      this.say(this.words[what + "_done"]);
    } else form.tell(this.words["problem_" + said] || this.words.problem_other);
  }

  isOver() {
    this.storage.forget();
    if (!this.thread) return;
    const words = this.words;
    this.closeForm();
    this.panel.querySelector(".composer").replaceWith(
      make(
        "div",
        { class: "ended" },
        make("p", { role: "status" }, words.ended),
        make("button", { class: "main", type: "button", onclick: () => this.again() }, words.new_chat),
      ),
    );
    this.menuButton.hidden = true;
    this.standing = { state: "over" };
  }

  again() {
    this.thread = null;
    this.history = null;
    this.toldSeen = 0;
    this.opening = null;
    this.standing = null;
    this.open();
  }

  showStand() {
    if (!this.stand || !this.thread) return;
    const words = this.words;
    const stand = this.standing || {};
    let text = "";
    if (this.isDown) text = words.no_connection;
    else if (stand.state === "answered") text = filled(words.is_here, { name: `\u2068${stand.agent}\u2069` });
    else if (stand.state === "waiting") {
      text = stand.ahead ? filled(words.ahead, { count: stand.ahead }) : words.you_are_next;
      if (stand.usual_wait_s) text += " " + filled(words.usual_wait, { wait: shownMinutes(stand.usual_wait_s, words) });
    } else if (stand.state === "nobody") {
      text = this.me.mail || this.me.phone ? words.answer_elsewhere : words.leave_reach;
    } else if (stand.state === "new") text = words.write_first;
    else if (stand.state === "closed") text = words.closed_by_us;
    if (this.stand.textContent !== text) this.stand.textContent = text;
    this.stand.classList.toggle("bad", Boolean(this.isDown));
    this.title.firstChild.textContent = this.me.proven ? `${this.house} · ${this.me.name} ✓` : this.house;
  }

  say(text) {
    this.said.textContent = "";
    setTimeout(() => (this.said.textContent = text), 50);
    clearTimeout(this.saidFor);
    this.saidFor = setTimeout(() => (this.said.textContent = ""), 8000);
  }

  key(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      if (this.menuList && !this.menuList.hidden) {
        this.menuButton.click();
        this.menuButton.focus();
      } else if (this.form && !this.form.hidden && this.thread) this.closeForm();
      else this.close();
    }
    if (event.key !== "Tab" || !matchMedia("(max-width: 480px)").matches) return;
    // Over the whole screen there is nothing behind it to come to.
    const all = Array.from(this.panel.querySelectorAll("button, input, textarea, summary, a, [tabindex]"));
    const able = all.filter((one) => !one.disabled && one.offsetParent !== null && !one.hidden);
    const at = able.indexOf(this.root.activeElement);
    const next = event.shiftKey ? at - 1 : at + 1;
    if (next < 0 || next >= able.length) {
      event.preventDefault();
      able[(next + able.length) % able.length].focus();
    }
  }
}
