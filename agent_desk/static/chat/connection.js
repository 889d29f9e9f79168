// The socket: opened again whenever it is gone, until the desk says that the chat is over. What is
// said stays unsent until the desk has kept it, and is said again after a reconnect under the same
// key, so that it is neither lost nor there twice.

const LONGEST_PAUSE_MS = 30000;
const OVER = 4401;

class Connection {
  constructor(desk, storage, heard) {
    this.desk = desk;
    this.storage = storage;
    this.heard = heard;
    this.socket = null;
    this.tries = 0;
    this.isUp = false;
    this.silence = 0;
    this.again = 0;
    addEventListener("online", () => this.open());
  }

  open() {
    if (this.socket || !this.storage.kept.token) return;
    clearTimeout(this.again);
    const socket = new WebSocket(this.desk.replace(/^http/, "ws") + "/chat/socket");
    this.socket = socket;
    socket.onopen = () => {
      this.say({
        hello: this.storage.kept.token,
        page: { address: location.origin + location.pathname, title: document.title.slice(0, 200) },
      });
      this.listen();
    };
    socket.onmessage = (event) => {
      this.listen();
      const news = JSON.parse(event.data);
      if (news.welcome) {
        this.tries = 0;
        this.isUp = true;
        for (const one of this.storage.kept.unsent) this.say({ say: one.text, key: one.key });
      }
      if (news.kept) this.settle(news.kept);
      if (news.refused && news.wait_s) {
        setTimeout(() => this.sayAgain(news.refused), 1000 * news.wait_s);
      } else if (news.refused) this.settle(news.refused);
      this.heard(news);
    };
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.isUp = false;
      clearTimeout(this.silence);
      if (event.code === OVER) {
        this.heard({ over: true });
        return;
      }
      this.heard({ down: true });
      const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** this.tries++);
      this.again = setTimeout(() => this.open(), pause * (0.5 + Math.random() / 2));
    };
  }

  // A connection that says nothing, not even its beat, is dead.
  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.drop(), 50000);
  }

  drop() {
    const socket = this.socket;
    if (!socket) return;
    socket.close();
    socket.onclose({ code: 1006 });
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    this.isUp = false;
    clearTimeout(this.silence);
    clearTimeout(this.again);
    if (socket) socket.close();
  }

  say(wish) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(wish));
    }
  }

  // The key under which the desk will know it again.
  write(text) {
    const key = newKey();
    this.storage.change({ unsent: [...this.storage.kept.unsent, { key, text }] });
    if (this.isUp) this.say({ say: text, key });
    else this.open();
    return key;
  }

  sayAgain(key) {
    const one = this.storage.kept.unsent.find((other) => other.key === key);
    if (one && this.isUp) this.say({ say: one.text, key });
  }

  settle(key) {
    this.storage.change({ unsent: this.storage.kept.unsent.filter((one) => one.key !== key) });
  }

  async ask(path, options = {}) {
    const headers = { ...options.headers };
    if (this.storage.kept.token) headers.Authorization = "Bearer " + this.storage.kept.token;
    return fetch(this.desk + path, { ...options, headers, credentials: "omit" });
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
