// The agent's due tasks and callbacks beside the call. They come by the push, by themselves; a
// callback whose time has come says so once, with a button that calls.

import { el, show, texts, textsOf } from "./elements.js";
import { post, Refused } from "./requests.js";
import { isCalledByItself, TaskDialog, taskLine } from "./task_dialog.js";

const words = textsOf("tasks");
const LOOK_MS = 5_000;
const TOLD = "deskbell-told-callbacks";

export function mount(place, workplace) {
  const list = place.querySelector("[data-task-list]");
  const count = document.querySelector("[data-tab-count=tasks]");
  const dialog = new TaskDialog(workplace.say);
  let tasks = [];

  const act = async (action, task) => {
    if (action === "open") dialog.change(task);
    if (action !== "claim" && action !== "call") return;
    try {
      // Whoever calls has it: two must not call the same customer.
      if (task.assigned_to === null) await post(`/api/tasks/${task.id}`, { action: "claim" });
    } catch (error) {
      workplace.say(error instanceof Refused ? error.message : words.try_again);
      return;
    }
    if (action === "call") workplace.dial(task.number);
  };
  const write = () => {
    const { call, customer } = workplace;
    dialog.create({ customer, number: call?.caller, pbx: call?.pbx, call: call?.call });
  };
  const draw = () => {
    const now = Date.now() / 1000;
    const people = tasks.filter((task) => !isCalledByItself(task));
    const groups = [
      [words.overdue, people.filter((task) => task.due_at <= now)],
      [words.today, people.filter((task) => task.due_at > now && task.assigned_to !== null)],
      [words.unclaimed, people.filter((task) => task.due_at > now && task.assigned_to === null)],
      [words.by_itself, tasks.filter(isCalledByItself)],
    ].filter(([, found]) => found.length > 0);
    const due = groups[0]?.[0] === words.overdue ? groups[0][1].length : 0;
    if (count) count.textContent = due || "";
    show(list, groups, () =>
      groups.length === 0
        ? el("p", { class: "empty-line" }, words.none)
        : groups.flatMap(([title, found]) => [
            el("h3", { class: "task-group" }, title),
            el("ul", { class: "task-list" }, ...found.map((task) => taskLine(task, act))),
          ]),
    );
    tell(tasks.filter((task) => task.kind === "callback" && task.due_at <= now && task.assigned_to));
  };

  place.querySelector("[data-new-task]").addEventListener("click", write);
  workplace.follow(`tasks:${texts.me}`, (documents) => {
    tasks = [...documents.values()].sort((a, b) => a.due_at - b.due_at || a.id - b.id);
    draw();
  });
  setInterval(draw, LOOK_MS);
  workplace.command({ id: "task-new", title: words.command_new, keys: "Shift+T", run: write });
  workplace.command({
    id: "task-due",
    title: words.command_due,
    when: () => tasks.length > 0,
    run: () => dialog.change(tasks[0]),
  });
}

/** Announce what has become due, each once; a postponed one again at its new time. */
function tell(due) {
  const told = new Set(JSON.parse(sessionStorage.getItem(TOLD) ?? "[]"));
  for (const task of due) {
    const key = `${task.id}@${task.due_at}`;
    if (told.has(key)) continue;
    told.add(key);
    announce(task);
  }
  sessionStorage.setItem(TOLD, JSON.stringify([...told].slice(-500)));
}

function announce(task) {
  const close = () => toast.remove();
  const toast = el(
    "p",
    { class: "toast toast-callback" },
    el("span", { dir: "auto" }, words.due_now.replace("%(title)s", task.customer_name ?? task.title)),
    el(
      "button",
      { type: "button", class: "button button-small", "data-dial": task.number, onclick: close },
      words.call,
    ),
    el("button", { type: "button", class: "button button-small", onclick: close }, words.done_reading),
  );
  document.querySelector("[data-toasts]").append(toast);
}
