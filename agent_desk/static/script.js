// The script's panel: the step of the call shown now. Every step is kept on the server; a reload
// finds it again.

import { el } from "./elements.js";
import { get, latest, post, Refused } from "./requests.js";
import { scriptStep, texts } from "./script_view.js";

const TYPING_MS = 600;
const LATER_MS = 1_000;

export function mount(place, workplace) {
  const find = (which) => place.querySelector(`[data-script-${which}]`);
  const chosen = new Map();
  const nextLoad = latest();
  let shown = null;
  let view = null;
  let step = null;
  let timer = 0;
  let sending = Promise.resolve();

  place.hidden = true;
  workplace.listen(({ call, customer, calls }) => {
    for (const key of chosen.keys()) {
      if (!calls.some((one) => one.key === key)) chosen.delete(key);
    }
    // The customer is part of it: a name that was missing is known now.
    const meant = call?.queue ? `${call.key} ${call.state === "offered"} ${customer?.id}` : null;
    if (meant === shown) return;
    shown = meant;
    clearTimeout(timer);
    if (meant !== null) load(call);
    else {
      nextLoad();
      draw(null);
    }
  });

  const asked = () => ({ pbx: workplace.call.pbx, call: workplace.call.call });
  const language = () => chosen.get(workplace.call.key) ?? "";

  async function load(call) {
    const signal = nextLoad();
    const wish = { pbx: call.pbx, call: call.call, language: chosen.get(call.key) ?? "" };
    let answer = null;
    try {
      answer = await get("/api/script", wish, { signal });
    } catch (error) {
      if (!(error instanceof Refused)) answer = { later: true };
    }
    if (signal.aborted) return;
    if (answer?.later) timer = setTimeout(() => load(call), LATER_MS);
    else draw(answer?.script ? answer : null);
  }

  function draw(answer, focus = false) {
    view = answer;
    place.hidden = answer === null;
    if (answer === null) {
      step = null;
      find("body").replaceChildren();
      return;
    }
    find("title").textContent = answer.script.title;
    find("title").title = texts.version.replace("%d", answer.script.version);
    drawLanguages(answer);
    step = scriptStep(answer.step, {
      go,
      typed,
      finished: answer.finished,
      preview: answer.preview,
    });
    find("body").replaceChildren(
      step.element,
      ...answer.not_written.map((one) =>
        el("p", { class: "notice script-kept" }, texts.not_written.replace("%s", one)),
      ),
    );
    if (focus) step.focus();
    const { disposition } = answer.step;
    if (disposition && !answer.preview) workplace.proposeDisposition?.(disposition.code);
  }

  function drawLanguages({ script, step: now }) {
    const select = find("language");
    select.hidden = script.languages.length < 2;
    select.replaceChildren(
      ...script.languages.map((code) =>
        el("option", { value: code, lang: code, selected: code === now.language }, texts.languages[code]),
      ),
    );
  }

  find("language").addEventListener("change", (event) => {
    chosen.set(workplace.call.key, event.target.value);
    if (view.preview) load(workplace.call);
    else move("stay", step.answers());
  });

  function typed(answers) {
    clearTimeout(timer);
    timer = setTimeout(() => keep(answers), TYPING_MS);
  }

  function keep(answers) {
    const wish = { ...asked(), step: view.step.id, answers, to: "stay" };
    // One after the other, so that an older answer never comes last.
    sending = sending.then(() => post("/api/script/step", wish)).catch(() => {});
  }

  const go = (to, answers) => move(to, answers, true);

  async function move(to, answers, focus = false) {
    clearTimeout(timer);
    const meant = shown;
    const before = step;
    const wish = { ...asked(), step: view.step.id, answers, to, language: language() };
    await sending;
    try {
      const answer = await post("/api/script/step", wish);
      if (shown !== meant) return;
      draw(answer, focus);
      if (focus && answer.step.disposition && answer.step.end) {
        workplace.say(texts.proposed_said.replace("%s", answer.step.disposition.title));
      }
    } catch (error) {
      if (shown !== meant) return;
      if (error instanceof Refused) before.fault(error.field, error.message);
      else before.fault(null, texts.try_again);
    }
  }

  const ready = () => view !== null && !view.preview;
  workplace.command({
    id: "script-next",
    title: texts.command,
    keys: ".",
    when: () => ready() && !view.finished,
    run: () => step.element.requestSubmit(),
  });
  workplace.command({
    id: "script-back",
    title: texts.command_back,
    keys: ",",
    when: () => ready() && view.step.passed.length > 0,
    run: () => go("back", step.answers()),
  });
}
