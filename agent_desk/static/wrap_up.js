// The end of a call: how it was settled, and done. The note itself is note.js.

import { el, texts } from "./elements.js";
import { get, post, Refused } from "./requests.js";

export function mount(form, workplace) {
  const part = (which) => form.querySelector(`[data-${which}]`);
  const choices = part("dispositions");
  const finish = part("finish");
  const problem = part("wrap-up-error");
  let offeredFor = null;

  workplace.listen(({ call }) => {
    finish.disabled = call?.state !== "ended";
    const queue = call && call.state !== "offered" ? call.queue : null;
    if (queue === null) {
      if (offeredFor !== null) {
        choices.replaceChildren(el("p", { class: "muted" }, texts.choices_come));
      }
      offeredFor = null;
    } else if (offeredFor !== call.key) {
      offeredFor = call.key;
      offer(queue);
    }
  });

  async function offer(queue) {
    const asked = offeredFor;
    let found = [];
    try {
      found = (await get("/api/dispositions", { queue })).dispositions;
    } catch {
      if (offeredFor === asked) offeredFor = null;
      return;
    }
    if (offeredFor !== asked) return;
    choices.replaceChildren(
      ...found.map((one, place) =>
        el(
          "label",
          { class: "disposition" },
          el("input", { type: "radio", name: "disposition", value: one.code, required: true }),
          el("span", {}, one.title),
          place < 9 ? el("kbd", { "aria-hidden": "true" }, String(place + 1)) : null,
        ),
      ),
    );
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { call } = workplace;
    if (call?.state !== "ended") return;
    problem.hidden = true;
    finish.disabled = true;
    try {
      await post("/api/call/wrap-up", {
        pbx: call.pbx,
        call: call.call,
        disposition: new FormData(form).get("disposition"),
        note: workplace.note.text,
      });
      workplace.note.forget(call);
      workplace.choose(null);
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
    }
    finish.disabled = workplace.call?.state !== "ended";
  });

  workplace.command({
    id: "finish",
    title: texts.command.finish,
    keys: "Ctrl+Enter",
    when: () => !finish.disabled,
    run: () => form.requestSubmit(),
  });
  workplace.command({
    id: "disposition",
    title: texts.command.disposition,
    keys: Array.from({ length: 9 }, (_, place) => String(place + 1)),
    when: () => choices.querySelector("input") !== null,
    run: (key) => {
      const box = choices.querySelectorAll("input")[Number(key) - 1];
      if (box) {
        box.checked = true;
        box.focus();
      }
    },
  });
}
