// The queues and the agents around one: lists that keep their places while their numbers change.

import { el, icon, name, put, texts } from "./elements.js";
import { count, number } from "./moments.js";

const { compare } = new Intl.Collator(texts.language);

/** The document that a row shows: a thousand colleagues, of whom a few have moved, are not all drawn. */
const shownBy = new WeakMap();

/** Keep one row per document in `list`, in the order of `keys`, each filled by fill(row, doc). */
function keep(list, keys, documents, make, fill) {
  for (const skeleton of list.querySelectorAll(".skeleton")) skeleton.remove();
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  let place = null;
  for (const key of keys) {
    let row = rows.get(key);
    if (!row) {
      row = make(key);
      row.dataset.key = key;
    }
    rows.delete(key);
    const next = place ? place.nextSibling : list.firstChild;
    // One that has moved down goes out of the way, so that the hundreds below it need not move up.
    if (next !== row && next?.nextSibling === row) list.append(next);
    else if (next !== row) list.insertBefore(row, next);
    place = row;
    const document = documents.get(key);
    if (shownBy.get(row) === document) continue;
    shownBy.set(row, document);
    fill(row, document);
  }
  for (const row of rows.values()) row.remove();
}

function part(row, which) {
  return row.querySelector(`[data-part=${which}]`);
}

export function showQueues(list, documents, own = null) {
  const known = Object.keys(texts.queues).filter((key) => documents.has(key));
  if (own) known.sort((a, b) => own.includes(b) - own.includes(a));
  keep(
    list,
    known,
    documents,
    (key) =>
      el(
        "li",
        { class: list.matches(".queue-tiles") ? "panel queue-tile" : "queue-line" },
        el("span", { class: "queue-name" }, texts.queues[key]),
        el("strong", { class: "queue-waiting", "data-part": "waiting" }),
        el("span", { class: "queue-detail muted", "data-part": "detail" }),
        el(
          "span",
          { class: "queue-longest muted" },
          el("span", { "data-part": "longest-word" }),
          " ",
          el("span", { class: "timer", "data-part": "longest" }),
        ),
      ),
    (row, queue) => {
      row.dataset.waits = queue.waiting > 0;
      put(part(row, "waiting"), number(queue.waiting));
      const members = [
        [queue.available, texts.free],
        [queue.busy, texts.busy],
        [queue.paused, texts.paused],
      ].filter(([count]) => count > 0);
      put(
        part(row, "detail"),
        members.map(([count, word]) => `${number(count)} ${word}`).join(" · ") || texts.no_agents,
      );
      put(part(row, "longest-word"), queue.waiting && queue.waiting_since ? texts.longest : "");
      count(part(row, "longest"), queue.waiting ? queue.waiting_since : null);
    },
  );
}

/** With `calls` each colleague who is there can be called from their line. */
export function showAgents(list, documents, me = null, calls = false) {
  const shown = [...documents.values()].filter((agent) => agent.agent !== me);
  shown.sort(
    (a, b) =>
      (a.state === "offline") - (b.state === "offline") || compare(a.name, b.name),
  );
  keep(
    list,
    shown.map((agent) => agent.agent),
    documents,
    () =>
      el(
        "li",
        { class: "agent-line" },
        el("span", { class: "dot", "aria-hidden": "true" }),
        el("span", { class: "agent-name", "data-part": "name" }),
        el("span", { class: "agent-state muted", "data-part": "state" }),
        el("span", { class: "timer muted", "data-part": "since" }),
        calls
          ? el("button", { type: "button", class: "icon-button agent-call" }, icon("phone"))
          : null,
      ),
    (row, agent) => {
      row.dataset.state = agent.state;
      if (calls) {
        const call = row.lastElementChild;
        call.dataset.dial = agent.agent;
        call.setAttribute("aria-label", texts.call_person.replace("%(who)s", agent.name));
        call.disabled = agent.state === "offline";
      }
      const shownName = part(row, "name");
      if (shownName.textContent !== agent.name) shownName.replaceChildren(name(agent.name));
      const reason = texts.pause_reasons?.[agent.reason];
      put(
        part(row, "state"),
        agent.state === "paused" && reason ? reason : texts.state[agent.state],
      );
      count(part(row, "since"), agent.state === "offline" ? null : agent.since);
    },
  );
}

