// The desk: puts its parts together, and brings the panels in after the first picture.

import { showAgents, showQueues } from "./around.js";
import { mount as mountCallBar } from "./call_bar.js";
import { mount as mountColumns } from "./columns.js";
import { mount as mountCustomer } from "./customer_view.js";
import { atNextPicture, texts } from "./elements.js";
import { Note } from "./note.js";
import { get } from "./requests.js";
import { mount as mountStateMenu } from "./state_menu.js";
import { Workplace } from "./workplace.js";
import { mount as mountWrapUp } from "./wrap_up.js";

const find = (which) => document.querySelector(`[data-${which}]`);
const workplace = new Workplace();
workplace.note = new Note(find("note"), find("note-state"));
workplace.listen(({ call }) => {
  workplace.note.open(call && call.state !== "offered" ? { pbx: call.pbx, call: call.call } : null);
});
workplace.command({
  id: "note",
  title: texts.command.note,
  keys: "n",
  run: () => {
    workplace.reveal(find("note"));
    find("note").focus();
  },
});

mountColumns(document.getElementById("main"), workplace);
mountStateMenu(find("state-menu"), workplace);
mountCallBar(find("call"), workplace);
mountCustomer(find("customer"), workplace);
mountWrapUp(find("work"), workplace);

const drawQueues = atNextPicture(() =>
  showQueues(find("queues"), workplace.documents("queues"), workplace.state?.queues ?? []),
);
const drawColleagues = atNextPicture(() =>
  showAgents(find("agents"), workplace.documents("agents"), texts.me, true),
);
workplace.follow("queues", drawQueues);
workplace.follow("agents", drawColleagues);
workplace.listen(drawQueues);

workplace.findable(() =>
  [...workplace.documents("agents").values()]
    .filter((agent) => agent.agent !== texts.me)
    .map((agent) => ({
      id: `colleague:${agent.agent}`,
      group: "colleague",
      title: agent.name,
      detail: `${agent.agent} · ${texts.state[agent.state] ?? agent.state}`,
      icon: "phone",
      run: () => workplace.dial(agent.agent),
    })),
);
workplace.findable(() =>
  Object.entries(texts.queue_numbers).map(([queue, number]) => ({
    id: `queue:${queue}`,
    group: "queue",
    title: texts.queues[queue],
    detail: number,
    icon: "queue",
    run: () => workplace.dial(number),
  })),
);

workplace.findable(
  async (words, signal) => {
    const { call } = workplace;
    const about = call ? { pbx: call.pbx, call: call.call } : {};
    if (document.querySelector("[data-panel=knowledge] > *") === null) return [];
    const { articles } = await get("/api/articles", { find: words, ...about }, { signal });
    return articles.map(({ id, title, summary, language }) => ({
      id: `article:${id}`,
      group: "article",
      title,
      detail: summary,
      icon: "page",
      run: () => dispatchEvent(new CustomEvent("show-article", { detail: { id, language } })),
    }));
  },
  { asked: true },
);

async function bringIn(place) {
  // A panel that fails takes nothing else with it.
  try {
    const panel = await import(new URL(place.dataset.module, import.meta.url));
    await panel.mount(place, workplace);
    place.dataset.mounted = "";
  } catch (error) {
    console.error(error);
  }
}

requestAnimationFrame(() =>
  setTimeout(() => {
    for (const place of document.querySelectorAll("[data-panel]:not(:empty)")) bringIn(place);
  }),
);
