// What the visitor's browser keeps: the token, and what is not sent yet. Nothing at all before they
// have consented; in the tab only, unless they asked to be remembered.

const STORED_AS = "deskbell-chat";

class Storage {
  constructor() {
    this.kept = { token: "", unsent: [], draft: "" };
    this.place = null;
    for (const place of [() => sessionStorage, () => localStorage]) {
      const found = Storage.read(place);
      if (found && typeof found.token === "string" && found.token) {
        this.place = place;
        this.kept = { ...this.kept, ...found };
        if (!Array.isArray(this.kept.unsent)) this.kept.unsent = [];
        return;
      }
    }
  }

  static read(place) {
    try {
      return JSON.parse(place().getItem(STORED_AS));
    } catch {
      return null; // a browser that keeps nothing, or what another script wrote
    }
  }

  begin(token, remember) {
    this.place = remember ? () => localStorage : () => sessionStorage;
    this.change({ token, unsent: [], draft: "" });
  }

  change(values) {
    Object.assign(this.kept, values);
    if (!this.place) return;
    try {
      this.place().setItem(STORED_AS, JSON.stringify(this.kept));
    } catch {
      // The chat goes on without: it ends with the page.
    }
  }

  forget() {
    for (const place of [() => sessionStorage, () => localStorage]) {
      try {
        place().removeItem(STORED_AS);
      } catch {
        // There is nothing then.
      }
    }
    this.place = null;
    this.kept = { token: "", unsent: [], draft: "" };
  }
}
