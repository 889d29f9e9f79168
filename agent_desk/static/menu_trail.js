// What a caller heard and keyed in the phone menu: at a glance as a path of topics, and in full. The
// pop shows it during the call, the story afterwards.

import { el, name, texts } from "./elements.js";

const MOST_TOPICS = 5;
const words = texts.menu;

/** Where the caller went from the menu; `to` is a queue, a number or one of the menu's endings. */
export function destination(to) {
  return words.to[to] ?? texts.queues?.[to] ?? to;
}

/** What the steps were about, each once in a row, as a path; `to` is null while they are there. */
export function topicPath(steps, to) {
  const topics = [];
  for (const { place } of steps) {
    const topic = texts.menu_topics?.[place];
    if (topic && topic !== topics.at(-1)) topics.push(topic);
  }
  const shown = topics.length > MOST_TOPICS ? ["…", ...topics.slice(-MOST_TOPICS)] : topics;
  if (to !== null) shown.push(destination(to));
  if (shown.length === 0) return null;
  return el(
    "span",
    { class: "keyed-path" },
    ...shown.map((topic, at) =>
      el("span", { class: "step", "data-last": to !== null && at === shown.length - 1 }, name(topic)),
    ),
  );
}

/** Every step, in the language in which it was heard. */
export function trail(steps, language) {
  return el(
    "ol",
    { class: "menu-steps", tabindex: "0", "aria-label": words.heard },
    ...steps.map((step) =>
      el(
        "li",
        { class: "menu-step" },
        el("p", { class: "menu-heard", lang: step.language ?? language, dir: "auto" }, step.heard),
        step.keyed
          ? el("kbd", { class: "menu-keyed", dir: "ltr" }, step.keyed)
          : el("span", { class: "unseen" }, words.nothing_keyed),
      ),
    ),
  );
}

export const languageBadge = (language) =>
  el("span", { class: "badge" }, texts.languages[language] ?? language);
