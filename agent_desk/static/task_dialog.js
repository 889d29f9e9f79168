// Writing a task or callback, and saying what became of one: the dialog of the desk and of the
// tasks' page. The server decides what may be done.

import { el, texts, textsOf } from "./elements.js";
import { get, post, Refused } from "./requests.js";

const words = textsOf("tasks");

export class TaskDialog {
  #dialog = document.querySelector("[data-task-dialog]");
  #new = this.#dialog.querySelector("[data-new]");
  #change = this.#dialog.querySelector("[data-change]");
  #about = {};
  #task = null;
  #said;

  /** `said(text)` tells the agent what was done. */
  constructor(said) {
    this.#said = said;
    this.#new.addEventListener("change", () => this.#drawKind());
    this.#new.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#save();
    });
    this.#change.addEventListener("click", (event) => {
      const action = event.target.closest("[data-act]")?.dataset.act;
      if (action) this.#act(action);
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target.closest("[data-closes]")) this.#dialog.close();
    });
  }

  /** Write a new one; `about` is {customer, number, pbx, call}, as far as it is known. */
  async create(about = {}) {
    this.#about = about;
    this.#new.reset();
    this.#new.elements.number.value = about.number ?? "";
    const tomorrow = new Date();
    tomorrow.setDate(tomorrow.getDate() + 1);
    tomorrow.setHours(10, 0, 0, 0);
    this.#new.elements.due_at.value = localText(tomorrow);
    const line = this.#new.querySelector("[data-about]");
    line.hidden = !about.customer;
    line.textContent = about.customer?.name ?? "";
    this.#drawKind();
    this.#open(this.#new);
    await this.#fillPlaces();
  }

  /** Say what becomes of this one. */
  async change(task) {
    this.#task = task;
    this.#change.reset();
    this.#dialog.querySelector("[data-change-title]").textContent = task.title;
    this.#change.elements.due_at.value = localText(new Date(task.due_at * 1000));
    this.#open(this.#change);
    await this.#fillPlaces();
  }

  #open(form) {
    for (const one of [this.#new, this.#change]) one.hidden = one !== form;
    form.querySelector("[data-problem]").hidden = true;
    this.#dialog.setAttribute("aria-labelledby", "task-dialog-title");
    this.#dialog.showModal();
    form.querySelector("input[name=title], textarea[name=outcome]").focus();
  }

  #drawKind() {
    const callback = this.#new.elements.kind.value === "callback";
    this.#new.querySelector("[data-number-field]").hidden = !callback;
    this.#new.elements.number.required = callback;
  }

  async #fillPlaces() {
    const found = await get("/api/tasks/places");
    for (const [kind, which] of [["queue", "queues"], ["agent", "agents"]]) {
      for (const group of this.#dialog.querySelectorAll(`[data-${which}-choice]`)) {
        group.replaceChildren(
          ...found[which].map(([value, title]) => el("option", { value: `${kind}:${value}` }, title)),
        );
      }
    }
  }

  async #save() {
    const { kind, title, number, due_at: due, text, place } = this.#new.elements;
    await this.#send(this.#new, "/api/tasks", {
      kind: kind.value,
      title: title.value,
      number: kind.value === "callback" ? number.value : "",
      due_at: new Date(due.value).toISOString(),
      text: text.value,
      customer_id: this.#about.customer?.id ?? null,
      pbx: this.#about.pbx ?? null,
      call: this.#about.call ?? null,
      ...placeOf(place.value),
    }, words.saved);
  }

  #act(action) {
    const { outcome, due_at: due, place } = this.#change.elements;
    const wish = { action };
    if (action === "postpone" && due.value) wish.due_at = new Date(due.value).toISOString();
    else if (action === "hand_over") Object.assign(wish, placeOf(place.value));
    else if (action !== "postpone") wish.outcome = outcome.value;
    const said = { postpone: words.postponed, hand_over: words.handed_over }[action];
    this.#send(this.#change, `/api/tasks/${this.#task.id}`, wish, said ?? words.finished);
  }

  async #send(form, path, wish, said) {
    const problem = form.querySelector("[data-problem]");
    try {
      await post(path, wish);
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : words.try_again;
      problem.hidden = false;
      form.elements[error.field]?.focus();
      return;
    }
    this.#dialog.close();
    this.#said(said);
  }
}

function placeOf(value) {
  const [kind, ...rest] = value.split(":");
  if (kind === "queue") return { queue: rest.join(":") };
  return kind === "agent" ? { assigned_to: rest.join(":") } : {};
}

/** As an `<input type="datetime-local">` has it: this computer's own time. */
function localText(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const language = document.documentElement.lang;
const sameDay = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit" });
const otherDay = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

/** A callback whose place is kept: Deskbell calls the customer in their turn, nobody need do it. */
export function isCalledByItself({ state, assigned_to: whose, callback }) {
  const kept = ["waiting", "joined", "answered"].includes(callback?.state);
  return state === "open" && kept && (whose === null || callback.state === "answered");
}

/** One task as a line of a list; `act(action, task)` is "claim", "call" or "open". */
export function taskLine(task, act) {
  const due = new Date(task.due_at * 1000);
  const format = due.toDateString() === new Date().toDateString() ? sameDay : otherDay;
  const byItself = isCalledByItself(task);
  const overdue = task.state === "open" && due < new Date() && !byItself;
  const mine = task.assigned_to !== null;
  return el(
    "li",
    { class: "task", "data-task": task.id, "data-overdue": overdue },
    el(
      "div",
      { class: "task-body" },
      el(
        "p",
        { class: "task-head" },
        el("strong", { dir: "auto" }, task.title),
        task.kind === "callback" ? el("span", { class: "badge" }, words.kind.callback) : null,
      ),
      el(
        "p",
        { class: "muted" },
        byItself
          ? null
          : el("time", { datetime: due.toISOString(), class: "task-due" }, format.format(due)),
        overdue ? el("span", { class: "task-overdue" }, words.overdue) : null,
        ...(task.customer_id
          ? [
              el(
                "a",
                { href: `/customers/${task.customer_id}`, target: "_blank" },
                el("bdi", {}, task.customer_name ?? ""),
              ),
            ]
          : []),
        task.shown_number ? el("bdi", { dir: "ltr" }, task.shown_number) : null,
        task.assigned_to && task.assigned_to !== texts.me ? el("bdi", {}, task.assigned_to) : null,
        mine ? null : el("span", {}, texts.queues?.[task.queue] ?? task.queue ?? ""),
      ),
      task.callback ? kept(task, byItself) : null,
      task.text ? el("p", { class: "free-text", dir: "auto" }, task.text) : null,
      task.outcome ? el("p", { class: "free-text", dir: "auto" }, outcome(task)) : null,
    ),
    el("div", { class: "task-acts" }, ...buttons(task, act)),
  );
}

/** What becomes of a place that a caller kept. */
function kept({ callback }, byItself) {
  const { state, tries } = callback;
  const time = (at) => {
    const date = new Date(at * 1000);
    return (date.toDateString() === new Date().toDateString() ? sameDay : otherDay).format(date);
  };
  const said = [];
  if (byItself) {
    if (state === "answered") said.push(words.kept.answered);
    else if (callback.not_before * 1000 > Date.now()) {
      said.push(words.kept.later.replace("%(time)s", time(callback.not_before)));
    } else said.push(words.kept.now);
    if (state !== "answered") said.push(words.kept.place.replace("%(time)s", time(callback.arrived_at)));
  } else if (state === "given_up") said.push(words.kept.given_up);
  if (tries > 0 && byItself) said.push(words.kept.tries.replace("%(count)s", tries));
  if (said.length === 0) return null;
  return el("p", { class: "task-kept", "data-state": state }, said.join(" · "));
}

/** How it ended: what somebody wrote, or the word of a callback that ended by itself. */
const outcome = (task) => (task.callback && words.kept.outcome[task.outcome]) || task.outcome;

function buttons(task, act) {
  if (task.state !== "open") return [el("span", { class: "badge" }, words.state[task.state])];
  const button = (text, action, extra = {}) =>
    el(
      "button",
      {
        type: "button",
        class: "button button-small",
        "aria-label": `${text}: ${task.title}`,
        onclick: () => act(action, task),
        ...extra,
      },
      text,
    );
  return [
    task.number && document.querySelector("[data-live=desk]")
      ? button(words.call, "call")
      : null,
    task.assigned_to === null
      ? button(isCalledByItself(task) ? words.take_over : words.claim, "claim")
      : null,
    button(words.open, "open"),
  ];
}
