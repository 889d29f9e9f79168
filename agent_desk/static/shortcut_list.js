// The list of shortcuts: what the page's commands say of themselves.

import { commands } from "./commands.js";
import { el } from "./elements.js";

const SIGNS = { Enter: "⏎", Backspace: "⌫", Escape: "Esc" };

/** One combination of keys as the caps that are pressed. */
export function caps(keys) {
  return keys.split(/\+(?=.)/).map((key) => {
    const shown = SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key);
    return el("kbd", {}, shown);
  });
}

export function showShortcuts(dialog) {
  const known = commands().filter((one) => one.keys.length > 0);
  dialog.querySelector("dl").replaceChildren(
    ...known.map(({ keys, title }) =>
      el("div", {}, el("dt", {}, ...keysOf(keys)), el("dd", {}, title)),
    ),
  );
  dialog.showModal();
}

function keysOf(keys) {
  if (keys.length < 4) return keys.flatMap((one, at) => [at ? " / " : null, ...caps(one)]);
  return [...caps(keys[0]), " … ", ...caps(keys.at(-1))];
}
