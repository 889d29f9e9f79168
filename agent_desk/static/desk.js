// The desk: fills the page's places from the push, and sends what the agent decides.

import { showAgents, showQueues } from "./around.js";
import { choice, customerCard, newCustomer, skeleton } from "./customer_view.js";
import { el, name, show, texts } from "./elements.js";
import { count } from "./moments.js";
import { Note } from "./note.js";
import { get, post, Refused } from "./requests.js";
import { follow, onKey } from "./shell.js";

const find = (which) => document.querySelector(`[data-${which}]`);
const own = `agent:${texts.me}`;
const stateSwitch = find("state-switch");
const stateMenu = find("state-menu");
const callPanel = find("call");
const customer = find("customer");
const dispositions = find("dispositions");
const wrapUp = find("wrap-up");
const finish = find("finish");
const note = new Note(find("note"), find("note-state"));
const title = document.title;

let chosenCall = null;
let shownCall = null;
let notification = null;
const announced = new Set();

const push = follow(
  [own, "queues", "agents"],
  (frame) => {
    if (frame.topic === "queues") drawQueues();
    else if (frame.topic === "agents") drawColleagues();
    else draw();
  },
  () => note.again(),
);

function drawQueues() {
  const mine = push.state.documents(own).get("state")?.queues ?? [];
  showQueues(find("queues"), push.state.documents("queues"), mine);
}

function drawColleagues() {
  showAgents(find("agents"), push.state.documents("agents"), texts.me);
}

// ---- the call ----------------------------------------------------------------------------------

const RANK = { answered: 0, held: 1, offered: 2, ended: 3 };

/** The calls on this screen, the one that matters most first; a pop may come before its call. */
function calls(documents) {
  const found = [];
  for (const [key, document] of documents) {
    if (key.startsWith("call:")) found.push({ key: key.slice(5), ...document });
    else if (key.startsWith("pop:") && !documents.has(`call:${key.slice(4)}`)) {
      const { pbx, call, queue, caller, caller_name, shown_number } = document;
      const shown_caller = shown_number || caller;
      found.push({
        key: key.slice(4),
        pbx,
        call,
        queue,
        caller,
        caller_name,
        shown_caller,
        state: "offered",
      });
    }
  }
  return found.sort((a, b) => RANK[a.state] - RANK[b.state] || (b.ended_at ?? 0) - (a.ended_at ?? 0));
}

function draw() {
  const documents = push.state.documents(own);
  const state = documents.get("state");
  if (state) drawState(state);
  const all = calls(documents);
  // An offer is shown at once, unless the agent is talking to somebody.
  const call =
    all.find((one) => one.state === "answered" || one.state === "held") ??
    all.find((one) => one.state === "offered") ??
    all.find((one) => one.key === chosenCall) ??
    all[0] ??
    null;
  shownCall = call;
  const pop = call && documents.get(`pop:${call.key}`);
  drawCall(call, pop);
  drawOthers(all.filter((one) => one !== call));
  drawCustomer(call, pop);
  drawWrapUp(call);
  note.open(call && call.state !== "offered" ? { pbx: call.pbx, call: call.call } : null);
  announce(all, documents);
}

function whoIs(call, pop) {
  if (pop?.matches.length === 1) return pop.matches[0].name;
  return call.caller_name || call.shown_caller || texts.withheld;
}

function drawCall(call, pop) {
  callPanel.dataset.state = call?.state ?? "none";
  const content = call && [call.state, whoIs(call, pop), pop?.shown_number, call.shown_caller, call.queue, call.cause];
  const hints = texts.no_call_hint;
  const hint = hints[stateSwitch.dataset.state] ?? hints.available;
  show(find("call-name"), [call ? whoIs(call, pop) : hint], () =>
    call ? name(whoIs(call, pop)) : hint,
  );
  show(find("call-state"), call?.state ?? "", () => (call ? texts.call[call.state] : texts.no_call));
  show(find("call-detail"), content, () => {
    if (!call) return "\u00a0";
    const who = whoIs(call, pop);
    const number = pop?.shown_number || call.shown_caller || texts.withheld;
    return [
      number === who ? "" : el("bdi", { dir: "ltr" }, number),
      number !== who && call.queue ? " · " : "",
      call.queue ? `${texts.via} ${texts.queues[call.queue] ?? call.queue}` : "\u00a0",
    ];
  });
  count(find("call-timer"), call ? (call.ended_at ?? call.answered_at ?? call.offered_at) : null);
}

function drawOthers(others) {
  show(
    find("call-others"),
    others.map((call) => [call.key, call.state]),
    () =>
      others.map((call) =>
        el(
          "button",
          {
            type: "button",
            class: "chip",
            "data-state": call.state,
            onclick: () => {
              chosenCall = call.key;
              draw();
            },
          },
          call.state === "ended" ? `${texts.unfinished}: ` : `${texts.call[call.state]}: `,
          name(call.caller_name || call.shown_caller || texts.withheld),
        ),
      ),
  );
}

function drawCustomer(call, pop) {
  // A form that is being filled must not be rebuilt because the call was answered meanwhile.
  show(customer, pop ? [call.key, pop] : call && [call.key], () => {
    if (!call) return document.getElementById("idle").content.cloneNode(true);
    if (!pop || pop.looking_up) return skeleton();
    if (pop.matches.length === 1) return customerCard(pop.matches[0]);
    if (pop.matches.length > 1) return choice(pop, call);
    return newCustomer(pop, call);
  });
}

function announce(all, documents) {
  const offers = all.filter((call) => call.state === "offered");
  const first = offers[0];
  const who = first && whoIs(first, documents.get(`pop:${first.key}`));
  document.title = first ? `● ${who} · ${texts.offer_title}` : title;
  if (first) navigator.setAppBadge?.(offers.length).catch(() => {});
  else navigator.clearAppBadge?.().catch(() => {});
  if (!first) {
    notification?.close();
    notification = null;
  }
  for (const call of offers) {
    if (announced.has(call.key)) continue;
    const pop = documents.get(`pop:${call.key}`);
    if (pop?.looking_up) continue;
    announced.add(call.key);
    const said = texts.offer_said.replace("%(who)s", whoIs(call, pop));
    find("said").textContent = said;
    if (document.hidden && window.Notification?.permission === "granted") {
      notification = new Notification(said, { tag: call.key, body: texts.queues[call.queue] ?? "" });
      notification.onclick = () => window.focus();
    }
  }
  for (const key of announced) if (!offers.some((call) => call.key === key)) announced.delete(key);
}

// ---- the agent's own state -----------------------------------------------------------------------

function drawState(state) {
  stateSwitch.dataset.state = state.state;
  const reason = texts.pause_reasons[state.reason];
  find("state-name").textContent =
    state.state === "paused" && reason ? reason : texts.state[state.state];
  count(find("state-timer"), state.state === "offline" ? null : state.since);
  for (const box of stateMenu.querySelectorAll("[name=queue]")) {
    if (!stateMenu.open) box.checked = state.queues.length === 0 || state.queues.includes(box.value);
  }
  for (const button of stateMenu.querySelectorAll("[data-pause]")) {
    button.disabled = state.state === "offline";
    button.setAttribute("aria-pressed", state.reason === button.dataset.pause);
  }
  find("leave").disabled = state.state === "offline";
  drawQueues();
}

async function change(path, wish) {
  const problem = find("state-error");
  problem.hidden = true;
  try {
    await post(path, wish);
    stateMenu.open = false;
    stateSwitch.focus();
  } catch (error) {
    problem.textContent = error instanceof Refused ? error.message : texts.try_again;
    problem.hidden = false;
  }
}

find("serve").addEventListener("submit", async (event) => {
  event.preventDefault();
  const queues = new FormData(event.target).getAll("queue");
  const before = push.state.documents(own).get("state");
  await change("/api/agent/serve", { queues });
  if (["paused", "wrap_up"].includes(before?.state)) await change("/api/agent/unpause");
});
find("pauses").addEventListener("click", (event) => {
  const button = event.target.closest("[data-pause]");
  if (button) change("/api/agent/pause", { reason: button.dataset.pause });
});
find("leave").addEventListener("click", () => change("/api/agent/leave"));

// ---- wrap-up -------------------------------------------------------------------------------------

let offeredFor = null;

function drawWrapUp(call) {
  const over = call?.state === "ended";
  finish.disabled = !over;
  const queue = call && call.state !== "offered" ? call.queue : null;
  if (queue === null) {
    if (offeredFor !== null) {
      dispositions.replaceChildren(el("p", { class: "muted" }, texts.choices_come));
    }
    offeredFor = null;
  } else if (offeredFor !== call.key) {
    offeredFor = call.key;
    offer(queue);
  }
}

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
  dispositions.replaceChildren(
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

wrapUp.addEventListener("submit", async (event) => {
  event.preventDefault();
  const call = shownCall;
  if (call?.state !== "ended") return;
  const problem = find("wrap-up-error");
  problem.hidden = true;
  finish.disabled = true;
  try {
    await post("/api/call/wrap-up", {
      pbx: call.pbx,
      call: call.call,
      disposition: new FormData(wrapUp).get("disposition"),
      note: note.text,
    });
    note.forget(call);
    chosenCall = null;
  } catch (error) {
    problem.textContent = error instanceof Refused ? error.message : texts.try_again;
    problem.hidden = false;
  }
  drawWrapUp(shownCall);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !finish.disabled) {
    event.preventDefault();
    wrapUp.requestSubmit();
  }
});
for (let place = 1; place <= 9; place += 1) {
  onKey(String(place), () => {
    const box = dispositions.querySelectorAll("input")[place - 1];
    if (box) {
      box.checked = true;
      box.focus();
    }
  });
}
onKey("n", () => find("note").focus());
onKey("s", () => {
  stateMenu.open = true;
  stateMenu.querySelector(".menu-panel input, .menu-panel button").focus();
});

show(customer, null, () => document.getElementById("idle").content.cloneNode(true));
