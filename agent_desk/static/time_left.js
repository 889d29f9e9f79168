// The wrap-up's remaining time: a thin bar that drains, and more of it for a reason.

import { put, texts } from "./elements.js";
import { duration, serverNow } from "./moments.js";
import { post, Refused } from "./requests.js";

const SOON_SECONDS = 15;

export function mount(place, workplace) {
  const part = (which) => place.querySelector(`[data-time-${which}]`);
  const bar = part("bar");
  const dialog = document.getElementById("more-time");
  const problem = dialog.querySelector("[role=alert]");
  let ends = null;
  let whole = 1;
  let beat = 0;
  let most = 0;

  workplace.listen(({ state }) => {
    const running = state?.state === "wrap_up" && Boolean(state.ends_at);
    place.hidden = !running;
    if (!running) {
      clearInterval(beat);
      ends = null;
      return;
    }
    most = state.extendable_seconds;
    part("more").hidden = !most;
    if (ends === state.ends_at) return;
    ends = state.ends_at;
    whole = Math.max(1, ends - state.since);
    clearInterval(beat);
    beat = setInterval(draw, 1_000);
    draw();
  });

  function draw() {
    const left = Math.max(0, ends - serverNow());
    // A whole number of hundredths: the bar is painted when it is seen to move, no oftener.
    bar.value = Math.round((100 * left) / whole);
    put(part("number"), duration(left));
    place.dataset.soon = left <= SOON_SECONDS;
  }

  dialog.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const { seconds, reason } = Object.fromEntries(new FormData(event.target));
    problem.hidden = true;
    try {
      await post("/api/agent/extend-wrap-up", { seconds: Math.min(most, Number(seconds)), reason });
      dialog.close();
      event.target.reset();
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
    }
  });

  workplace.command({
    id: "more-time",
    title: texts.command.more_time,
    keys: "e",
    when: () => !place.hidden && !part("more").hidden,
    run: () => dialog.showModal(),
  });
}
