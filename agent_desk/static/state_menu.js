// The agent's own state in the top bar: told as the server has it, changed with one click.

import { put, texts } from "./elements.js";
import { count } from "./moments.js";
import { post, Refused } from "./requests.js";

export function mount(menu, workplace) {
  const part = (which) => menu.querySelector(`[data-${which}]`);
  const toggle = part("state-switch");
  const problem = part("state-error");

  workplace.listen(({ state }) => {
    if (state === null) return;
    toggle.dataset.state = state.state;
    put(part("state-name"), said(state));
    count(part("state-timer"), state.state === "offline" ? null : state.since);
    const offline = state.state === "offline";
    for (const box of menu.querySelectorAll("[name=queue]")) {
      if (!menu.open) box.checked = state.queues.length === 0 || state.queues.includes(box.value);
    }
    for (const button of menu.querySelectorAll("[data-pause]")) {
      button.disabled = offline;
      button.setAttribute("aria-pressed", state.reason === button.dataset.pause);
    }
    part("leave").disabled = offline;
  });

  async function change(path, wish) {
    problem.hidden = true;
    try {
      await post(path, wish);
      menu.open = false;
      toggle.focus();
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
    }
  }

  part("serve").addEventListener("submit", async (event) => {
    event.preventDefault();
    const queues = new FormData(event.target).getAll("queue");
    const before = workplace.state?.state;
    await change("/api/agent/serve", { queues });
    if (["paused", "wrap_up"].includes(before)) await change("/api/agent/unpause");
  });
  part("pauses").addEventListener("click", (event) => {
    const button = event.target.closest("[data-pause]");
    if (button) change("/api/agent/pause", { reason: button.dataset.pause });
  });
  part("leave").addEventListener("click", () => change("/api/agent/leave"));
  workplace.command({
    id: "state",
    title: texts.command.state,
    keys: "s",
    run: () => {
      menu.open = true;
      menu.querySelector(".menu-panel input, .menu-panel button").focus();
    },
  });
}

/** The state in words; of a pause its reason, if it has a name. */
function said(state) {
  const reason = texts.pause_reasons[state.reason];
  return state.state === "paused" && reason ? reason : (texts.state[state.state] ?? state.state);
}
