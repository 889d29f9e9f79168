// What the visitor's browser keeps: the token, and what is not sent yet. Nothing at all before they
// have consented. The token is kept on the device only if they asked to be remembered; the rest is
// each tab's own, so that two tabs never overwrite each other's words.

const TOKEN_AS = "deskbell-chat";
const UNSENT_AS = "deskbell-chat-unsent";

class Storage {
  constructor() {
    const nothing = { unsent: [], draft: "" };
    const token = Storage.read("sessionStorage", TOKEN_AS) || Storage.read("localStorage", TOKEN_AS);
    const own = (token && Storage.read("sessionStorage", UNSENT_AS)) || nothing;
    this.kept = {
      token: typeof token === "string" ? token : "",
      unsent: Array.isArray(own.unsent) ? own.unsent : [],
      draft: typeof own.draft === "string" ? own.draft : "",
    };
  }

  static read(place, name) {
    try {
      return JSON.parse(window[place].getItem(name));
    } catch {
      return null; // a browser that keeps nothing, or what another script wrote
    }
  }

  static write(place, name, value) {
    try {
      window[place].setItem(name, JSON.stringify(value));
    } catch {
      // The chat goes on without: it ends with the page.
    }
  }

  begin(token, remember) {
    this.kept = { token, unsent: [], draft: "" };
    Storage.write(remember ? "localStorage" : "sessionStorage", TOKEN_AS, token);
  }

  change(values) {
    Object.assign(this.kept, values);
    if (!this.kept.token) return;
    const { unsent, draft } = this.kept;
    Storage.write("sessionStorage", UNSENT_AS, { unsent, draft });
  }

  forget() {
    for (const place of ["sessionStorage", "localStorage"]) {
      for (const name of [TOKEN_AS, UNSENT_AS]) {
        try {
          window[place].removeItem(name);
        } catch {
          // There is nothing then.
        }
      }
    }
    this.kept = { token: "", unsent: [], draft: "" };
  }
}
