// The editor of a script: its steps, the way through them as a picture, what is wrong, and a try-out.
// It writes the steps into the form's own field, which the server reads as it would without a script.

import { el, textsOf } from "./elements.js";
import { post, Refused } from "./requests.js";
import { flowPicture } from "./script_flow.js";
import { scriptStep } from "./script_view.js";
import { stepForm } from "./step_form.js";
import "./shell.js";

const PAUSE_MS = 400;

const texts = textsOf("script-editor");
const choices = textsOf("script-choices");
const form = document.querySelector("[data-script-editor]");
const raw = form.querySelector("[data-raw-steps] textarea");
const reader = document.documentElement.lang;
const languages = choices.languages.length > 0 ? choices.languages : ["en"];
const language = languages.includes(reader) ? reader : languages[0];
const titleOf = (step) => step.title[language] || Object.values(step.title)[0] || step.id;

function answerOf(name, value) {
  if (typeof value === "boolean") return value ? texts.yes : texts.no;
  const field = steps.flatMap((step) => step.fields ?? []).find((one) => one.name === name);
  const choice = field?.choices?.find((one) => one.value === value);
  return choice?.label?.[language] || String(value);
}

let steps = parsed(raw.value);
let chosen = steps[0]?.id ?? null;
let wrong = new Set();
let timer = 0;
let turn = 0;
let trial = null;
// The form writes into these: what is not given is made here, so that looking changes nothing.
for (const step of steps) {
  step.fields ??= [];
  step.next ??= [];
  for (const field of step.fields) field.label ??= {};
}
const saved = JSON.stringify(steps);

const list = el("ol", { class: "editor-steps" });
const place = el("div", { class: "panel panel-padded editor-step" });
const picture = el("div", { class: "editor-flow", tabindex: "0" });
const faults = el("div", { class: "editor-faults", role: "status" });
const tried = el("div", { class: "panel panel-padded editor-try", hidden: true });

form.querySelector("[data-editor]").replaceChildren(
  el(
    "div",
    { class: "editor" },
    el(
      "div",
      { class: "editor-side" },
      el("section", { class: "panel panel-padded" }, el("h2", {}, texts.steps), list,
        el("button", { type: "button", class: "button", onclick: add }, texts.add_step)),
      el("section", { class: "panel panel-padded" }, el("h2", {}, texts.flow), picture, faults),
    ),
    place,
  ),
);
// A try-out has a form of its own, which cannot stand within this one.
form.after(tried);
form.querySelector(".form-foot").prepend(
  el("button", { type: "button", class: "button", onclick: () => tryOut() }, texts.try),
);
form.querySelector("[data-raw-steps]").hidden = true;
addEventListener("beforeunload", (event) => {
  if (!form.dataset.sending && JSON.stringify(steps) !== saved) event.preventDefault();
});
form.addEventListener("submit", () => {
  form.dataset.sending = "yes";
  raw.value = JSON.stringify(steps);
});
draw();

function parsed(text) {
  try {
    const found = JSON.parse(text);
    return Array.isArray(found) ? found : [];
  } catch {
    return [];
  }
}

function draw() {
  drawList();
  drawStep();
  changed();
}

function drawList() {
  list.replaceChildren(
    ...steps.map((step) =>
      el(
        "li",
        {},
        el(
          "button",
          {
            type: "button",
            class: "menu-line",
            "aria-current": step.id === chosen ? "true" : null,
            "data-wrong": wrong.has(step.id),
            onclick: () => choose(step.id),
          },
          el("bdi", {}, titleOf(step)),
        ),
      ),
    ),
  );
}

function drawStep() {
  const step = steps.find((one) => one.id === chosen);
  place.replaceChildren(
    ...(step
      ? stepForm(step, {
          steps,
          languages,
          texts,
          choices,
          titleOf,
          changed,
          renamed(before) {
            for (const one of steps) {
              if (one.otherwise === before) one.otherwise = step.id;
              for (const branch of one.next ?? []) if (branch.to === before) branch.to = step.id;
            }
            chosen = step.id;
            changed();
          },
          redraw() {
            drawStep();
            changed();
          },
          move(by) {
            const at = steps.indexOf(step);
            const to = Math.min(steps.length - 1, Math.max(0, at + by));
            steps.splice(to, 0, ...steps.splice(at, 1));
            draw();
          },
          remove() {
            steps = steps.filter((one) => one !== step);
            chosen = steps[0]?.id ?? null;
            draw();
          },
        })
      : []),
  );
}

function choose(id) {
  chosen = id;
  drawList();
  drawStep();
  drawPicture();
}

function add() {
  let number = steps.length + 1;
  while (steps.some((one) => one.id === `step-${number}`)) number += 1;
  const step = { id: `step-${number}`, title: {}, text: {}, fields: [], next: [], end: true };
  const before = steps.find((one) => one.id === chosen);
  steps.push(step);
  // A new step comes after the one that was being written.
  if (before?.end) {
    before.end = false;
    before.otherwise = step.id;
  } else if (before && !before.otherwise) before.otherwise = step.id;
  chosen = step.id;
  draw();
  place.querySelector("input")?.focus();
}

/** Something was written: the picture follows at once, the server says soon what is wrong. */
function changed() {
  raw.value = JSON.stringify(steps);
  form.querySelector("[data-unsaved]").textContent =
    JSON.stringify(steps) === saved ? "" : texts.unsaved;
  drawPicture();
  clearTimeout(timer);
  timer = setTimeout(check, PAUSE_MS);
}

function drawPicture() {
  picture.replaceChildren(
    flowPicture(steps, { chosen, wrong, titleOf, answerOf, choose, label: texts.flow }),
  );
}

async function check() {
  const mine = ++turn;
  let found;
  try {
    found = (await post("/api/scripts/check", { steps, languages })).problems;
  } catch (error) {
    found = [{ step: "", text: error instanceof Refused ? error.message : "…" }];
  }
  if (mine !== turn) return;
  wrong = new Set(found.map(({ step }) => step));
  faults.replaceChildren(
    found.length === 0
      ? el("p", { class: "editor-right" }, texts.no_problems)
      : el(
          "ul",
          { "aria-label": texts.problems },
          found.map(({ step, text }) =>
            el(
              "li",
              {},
              step
                ? el("button", { type: "button", class: "editor-fault", onclick: () => choose(step) },
                    el("bdi", {}, titleOf(steps.find((one) => one.id === step) ?? { title: {}, id: step })))
                : texts.whole,
              `: ${text}`,
            ),
          ),
        ),
  );
  drawList();
  drawPicture();
}

async function tryOut(to = "stay", from = "", answers = {}) {
  let answer;
  try {
    answer = await post("/api/scripts/try", { steps, step: from, answers, to, language });
  } catch (error) {
    tried.hidden = false;
    if (trial && error.field) trial.fault(error.field, error.message);
    else tried.replaceChildren(el("p", { class: "notice notice-bad", role: "alert" }, error.message));
    return;
  }
  trial = scriptStep(answer.step, {
    finished: answer.finished,
    go: (way, own) => tryOut(way, answer.step.id, { ...answer.answers, ...own }),
  });
  tried.hidden = false;
  tried.replaceChildren(
    el(
      "header",
      { class: "setup-head" },
      el("h2", {}, texts.try),
      el("button", { type: "button", class: "button", onclick: () => tryOut() }, texts.again),
    ),
    trial.element,
  );
  trial.focus();
  tried.scrollIntoView({ block: "nearest" });
}
