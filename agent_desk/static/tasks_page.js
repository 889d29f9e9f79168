// The page of all tasks: filters, pages, and what becomes of each.

import { say } from "./announcements.js";
import { el, texts, textsOf } from "./elements.js";
import { get, post, Refused } from "./requests.js";
import { follow } from "./shell.js";
import { TaskDialog, taskLine } from "./task_dialog.js";

const words = textsOf("tasks");
const filters = document.querySelector("[data-task-filters]");
const place = document.querySelector("[data-task-list]");
const more = document.querySelector("[data-more]");
let shown = [];
let asked = 0;

const dialog = new TaskDialog((said) => {
  say(said);
  load();
});
document.querySelector("[data-new-task]").addEventListener("click", () => dialog.create());
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("change", () => {
  const all = filters.elements.whose?.value === "all";
  for (const name of ["agent", "queue"]) {
    if (filters.elements[name]) filters.elements[name].disabled = !all;
  }
  load();
});
more.addEventListener("click", () => load(shown.length));
follow([`tasks:${texts.me}`], () => load());

async function load(skip = 0) {
  const ask = ++asked;
  const params = { ...Object.fromEntries(new FormData(filters)), skip };
  try {
    const answer = await get("/api/tasks", params);
    if (ask !== asked) return;
    shown = skip ? [...shown, ...answer.tasks] : answer.tasks;
    more.hidden = !answer.more;
    draw();
  } catch (error) {
    place.replaceChildren(
      el(
        "p",
        { class: "notice notice-bad", role: "alert" },
        error instanceof Refused ? error.message : words.try_again,
      ),
    );
  }
}

function draw() {
  if (shown.length === 0) {
    place.replaceChildren(el("p", { class: "empty-line" }, words.none_listed));
    return;
  }
  place.replaceChildren(el("ul", { class: "task-list" }, ...shown.map((task) => taskLine(task, act))));
}

async function act(action, task) {
  if (action === "open") {
    dialog.change(task);
    return;
  }
  try {
    await post(`/api/tasks/${task.id}`, { action });
    load();
  } catch (error) {
    say(error instanceof Refused ? error.message : words.try_again);
  }
}
