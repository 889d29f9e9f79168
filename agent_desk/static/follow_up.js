// What is still to be done after a call: a task or a callback, with the day and hour it is due.

import { texts } from "./elements.js";
import { post } from "./requests.js";

const MORNING = 10;

export class FollowUp {
  #place;
  #sentFor = null;

  constructor(place) {
    this.#place = place;
    place.addEventListener("click", (event) => {
      const due = event.target.closest("[data-due]")?.dataset.due;
      if (due) this.#setDue(dueAt(due, new Date()));
    });
    place.addEventListener("change", (event) => {
      if (event.target.name === "follow-up") this.#draw();
    });
    this.#draw();
  }

  get kind() {
    return this.#place.querySelector("[name=follow-up]:checked").value;
  }

  /** Choose "", "task" or "callback". */
  propose(kind) {
    const box = this.#place.querySelector(`[name=follow-up][value="${kind}"]`);
    if (box === null || box.checked) return;
    box.checked = true;
    this.#draw();
  }

  /** For the next call: nothing follows yet; without a call nothing can. */
  begin(withCall) {
    this.#place.disabled = !withCall;
    this.#place.querySelector("[name=follow-up-title]").value = "";
    this.#place.querySelector("[name=follow-up-due]").value = "";
    this.propose("");
  }

  /** Write it down, once for each call. Throws Refused. */
  async save(call, customer, number) {
    if (this.kind === "" || this.#sentFor === call.key) return;
    const title = this.#place.querySelector("[name=follow-up-title]");
    await post("/api/tasks", {
      kind: this.kind,
      title: title.value.trim() || title.placeholder,
      due_at: new Date(this.#due.value).toISOString(),
      customer_id: customer?.id ?? null,
      number: this.kind === "callback" ? number : "",
      pbx: call.pbx,
      call: call.call,
    });
    this.#sentFor = call.key;
  }

  get #due() {
    return this.#place.querySelector("[name=follow-up-due]");
  }

  #setDue(at) {
    this.#due.value = localText(at);
    for (const button of this.#place.querySelectorAll("[data-due]")) {
      button.setAttribute(
        "aria-pressed",
        localText(dueAt(button.dataset.due, new Date())) === this.#due.value,
      );
    }
  }

  #draw() {
    const { kind } = this;
    this.#place.querySelector("[data-follow-up-fields]").hidden = kind === "";
    this.#due.required = kind !== "";
    if (kind === "") return;
    this.#place.querySelector("[name=follow-up-title]").placeholder = texts.follow_up[kind];
    if (this.#due.value === "") this.#setDue(dueAt("tomorrow", new Date()));
  }
}

/** In an hour (to the next five minutes), tomorrow morning, or the morning of next Monday. */
export function dueAt(which, now) {
  const at = new Date(now);
  at.setSeconds(0, 0);
  if (which === "hour") at.setMinutes(Math.ceil(at.getMinutes() / 5) * 5 + 60);
  else {
    const days = which === "tomorrow" ? 1 : (8 - at.getDay()) % 7 || 7;
    at.setDate(at.getDate() + days);
    at.setHours(MORNING, 0);
  }
  return at;
}

/** As an `<input type="datetime-local">` has it: this computer's own time. */
function localText(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
