// The supervisors' floor: every queue, every call, every agent.

import { showAgents, showQueues } from "./around.js";
import { el, name, texts } from "./elements.js";
import { count, number } from "./moments.js";
import { follow } from "./shell.js";

const tiles = document.querySelector("[data-queue-tiles]");
const agents = document.querySelector("[data-agents]");
const calls = document.querySelector("[data-calls]");
const none = document.querySelector("[data-no-calls]");
const total = document.querySelector("[data-call-count]");

const push = follow(["queues", "agents", "calls"], (frame) => draw(frame.topic));
let waiting = false;

function draw(topic) {
  if (topic === "queues") showQueues(tiles, push.state.documents("queues"));
  else if (topic === "agents") showAgents(agents, push.state.documents("agents"));
  else if (!waiting) {
    // A hundred calls a second change this table; the eye needs four pictures of them.
    waiting = true;
    setTimeout(drawCalls, 250);
  }
}

function drawCalls() {
  waiting = false;
  const documents = push.state.documents("calls");
  const agentNames = push.state.documents("agents");
  total.textContent = number(documents.size);
  none.hidden = documents.size > 0;
  const rows = new Map([...calls.children].map((row) => [row.dataset.key, row]));
  for (const [key, call] of documents) {
    let row = rows.get(key);
    if (!row) {
      row = el("tr", { "data-key": key }, ...Array.from({ length: 5 }, () => el("td")));
      calls.append(row);
    }
    rows.delete(key);
    fill(row, call, agentNames);
  }
  for (const row of rows.values()) row.remove();
}

function fill(row, call, agentNames) {
  const who = call.agent || call.rang.join(", ");
  const signature = [call.state, call.queue, who].join("\n");
  row.dataset.state = call.state;
  if (row.dataset.signature !== signature) {
    row.dataset.signature = signature;
    const [state, caller, queue, agent] = row.children;
    state.replaceChildren(
      el("span", { class: "dot", "aria-hidden": "true" }),
      texts.call[call.state] ?? call.state,
    );
    caller.replaceChildren(name(call.caller || texts.withheld), " ");
    if (call.caller_name) caller.append(el("span", { class: "muted" }, name(call.caller_name)));
    queue.textContent = texts.queues[call.queue] ?? call.queue;
    agent.replaceChildren(name(agentNames.get(who)?.name ?? who));
  }
  row.lastElementChild.classList.add("timer");
  count(row.lastElementChild, call.answered_at ?? call.waiting_since ?? call.started_at);
}
