// The end of a call: how it was settled, what follows, and how much time is left for that. The note
// itself is note.js.

import { DispositionTree } from "./disposition_tree.js";
import { texts } from "./elements.js";
import { FollowUp } from "./follow_up.js";
import { get, latest, post, Refused } from "./requests.js";
import { mount as mountTimeLeft } from "./time_left.js";

export function mount(panel, workplace) {
  const part = (which) => panel.querySelector(`[data-${which}]`);
  const form = part("wrap-up");
  const finish = part("finish");
  const problem = part("wrap-up-error");
  const followUp = new FollowUp(part("follow-up"));
  let offeredFor = null;
  let proposed = null;
  const nextOffer = latest();

  const tree = new DispositionTree(part("dispositions"), part("trail"), (chosen) => {
    if (chosen) problem.hidden = true;
    if (chosen?.follow_up) followUp.propose(chosen.follow_up);
  });
  mountTimeLeft(part("time-left"), workplace);

  workplace.listen(({ call }) => {
    finish.disabled = call?.state !== "ended";
    const key = call && call.state !== "offered" ? call.key : null;
    if (key === offeredFor) return;
    offeredFor = key;
    proposed = null;
    problem.hidden = true;
    followUp.begin(key !== null);
    tree.offer([]);
    const signal = nextOffer();
    if (key !== null) offer(call.queue, signal);
  });

  /** A script's word on how the call was settled; the agent may choose otherwise. */
  workplace.proposeDisposition = (code) => {
    proposed = code;
    if (tree.chosen === null) tree.pick(code);
  };

  async function offer(queue, signal) {
    let found = [];
    try {
      found = (await get("/api/dispositions", { queue }, { signal })).dispositions;
    } catch {
      if (!signal.aborted) offeredFor = null;
      return;
    }
    if (signal.aborted) return;
    tree.offer(found);
    if (proposed !== null) tree.pick(proposed);
  }

  function tell(error) {
    problem.textContent = error instanceof Refused ? error.message : texts.try_again;
    problem.hidden = false;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { call, customer, pop } = workplace;
    if (call?.state !== "ended") return;
    if (tree.chosen === null) {
      tell(new Refused(400, texts.choose_disposition));
      part("dispositions").querySelector("input, button")?.focus();
      return;
    }
    problem.hidden = true;
    finish.disabled = true;
    try {
      await followUp.save(call, customer, pop?.number || call.caller);
      await post("/api/call/wrap-up", {
        pbx: call.pbx,
        call: call.call,
        disposition: tree.chosen.code,
        note: workplace.note.text,
      });
      workplace.note.forget(call);
      workplace.choose(null);
    } catch (error) {
      tell(error);
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
    when: () => tree.isThere,
    run: (key) => {
      workplace.reveal(panel);
      const digit = Number(key);
      if (digit) tree.press(digit);
      else part("dispositions").querySelector("input, button").focus();
    },
  });
  workplace.command({
    id: "disposition-up",
    title: texts.command.disposition_up,
    keys: "Backspace",
    when: () => tree.isDeep,
    run: () => tree.up(),
  });
  for (const kind of ["task", "callback"]) {
    workplace.command({
      id: `follow-up-${kind}`,
      title: texts.follow_up[kind],
      when: () => offeredFor !== null,
      run: () => {
        workplace.reveal(panel);
        followUp.propose(kind);
        part("follow-up").querySelector("[name=follow-up-title]").focus();
      },
    });
  }
}
