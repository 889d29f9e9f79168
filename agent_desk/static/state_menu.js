// The agent's own state in the top bar: told as the server has it, changed with one click.

import { put, texts } from "./elements.js";
import { count } from "./moments.js";
import { post, Refused } from "./requests.js";

/** States in which the agent has called a halt, and may end it with one click. */
const HALTED = ["paused", "written_work"];

export function mount(menu, workplace) {
  const part = (which) => menu.querySelector(`[data-${which}]`);
  const toggle = part("state-switch");
  const back = document.querySelector("[data-state-back]");
  const problem = part("state-error");
  let told = null;

  workplace.listen(({ state }) => {
    if (state === null) return;
    const offline = state.state === "offline";
    toggle.dataset.state = state.state;
    put(part("state-name"), nameOf(state));
    count(part("state-timer"), offline ? null : state.since);
    back.hidden = !HALTED.includes(state.state);
    const why = whyOf(state);
    put(part("state-why"), why);
    part("state-why").hidden = why === "";
    for (const box of menu.querySelectorAll("[name=queue]")) {
      if (!menu.open) box.checked = state.queues.length === 0 || state.queues.includes(box.value);
    }
    for (const button of menu.querySelectorAll("[data-pause]")) {
      button.disabled = offline;
      const chosen = [state.reason, state.next_pause].includes(button.dataset.pause);
      button.setAttribute("aria-pressed", chosen);
    }
    part("leave").disabled = offline;
    tellChange(state);
  });

  /** What the agent did not do themselves must not pass unnoticed. */
  function tellChange(state) {
    const key = `${state.state} ${state.reason} ${state.since}`;
    if (told !== null && key !== told && texts.forced_pause[state.reason]) {
      workplace.say(whyOf(state));
    }
    told = key;
  }

  async function change(path, wish) {
    problem.hidden = true;
    try {
      await post(path, wish);
      return true;
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
      menu.open = true;
      return false;
    }
  }

  async function choose(path, wish) {
    if (!(await change(path, wish))) return;
    menu.open = false;
    toggle.focus();
  }

  part("serve").addEventListener("submit", async (event) => {
    event.preventDefault();
    const queues = new FormData(event.target).getAll("queue");
    const { state } = workplace;
    const again = [...HALTED, "wrap_up"].includes(state?.state) || Boolean(state?.next_pause);
    if (!(await change("/api/agent/serve", { queues }))) return;
    if (again) await choose("/api/agent/unpause");
    else {
      menu.open = false;
      toggle.focus();
    }
  });
  part("pauses").addEventListener("click", (event) => {
    const button = event.target.closest("[data-pause]");
    if (button) choose("/api/agent/pause", { reason: button.dataset.pause });
  });
  part("leave").addEventListener("click", () => choose("/api/agent/leave"));
  back.addEventListener("click", () => choose("/api/agent/unpause"));

  workplace.command({
    id: "state",
    title: texts.command.state,
    keys: "s",
    run: () => {
      menu.open = true;
      menu.querySelector(".menu-panel input, .menu-panel button").focus();
    },
  });
  workplace.command({
    id: "available",
    title: texts.command.available,
    keys: "Shift+A",
    when: () => !back.hidden,
    run: () => back.click(),
  });
  for (const button of menu.querySelectorAll("[data-pause]")) {
    const title = button.textContent.trim();
    workplace.command({
      id: `pause-${button.dataset.pause}`,
      title: HALTED.includes(button.dataset.state) ? title : `${texts.state.paused}: ${title}`,
      when: () => !button.disabled,
      run: () => button.click(),
    });
  }
}

/** The state in a word or two; of a pause its reason, if it has a name. */
function nameOf(state) {
  const reason = texts.pause_reasons[state.reason] ?? texts.forced_pause_short[state.reason];
  return state.state === "paused" && reason ? reason : (texts.state[state.state] ?? state.state);
}

/** Why it is so, or what will follow, in a sentence; "" where the name says it all. */
export function whyOf(state) {
  if (state.state === "paused" && texts.forced_pause[state.reason]) {
    return texts.forced_pause[state.reason].replace("%(count)s", state.missed_rings || "");
  }
  const next = texts.pause_reasons[state.next_pause] ?? texts.state.written_work;
  return state.next_pause ? texts.pause_follows.replace("%(reason)s", next) : "";
}
