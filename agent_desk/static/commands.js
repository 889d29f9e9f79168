// The verbs of a page: each has a name, perhaps keys, perhaps a time when it makes sense. The
// keyboard, the list of shortcuts and the palette all read this one list; the palette also what else
// can be found.

const registered = new Map();

/**
 * Register {id, title, keys?, when?, run}; a later one of the same id takes its place. `keys` is
 * one text or several: "a", "?", "Shift+T", "Ctrl+Enter" (Ctrl is ⌘ as well). Keys without Ctrl do
 * nothing while somebody types or a dialog is open. `run(key)` is told which key it was.
 */
export function command({ id, title, keys = [], when = () => true, run }) {
  registered.set(id, { id, title, keys: [keys].flat(), when, run });
}

export const commands = () => [...registered.values()];

const sources = [];

/**
 * Let the palette find more: `source(words, signal)` gives, or promises, a list of {id, group, title,
 * detail?, icon, run}. With `asked`, it has found by the words itself, and is not sifted again.
 */
export function findable(source, { asked = false } = {}) {
  sources.push({ source, asked });
}

export const findables = () => sources;

/** Where letters are the writer's own; a radio button takes none. */
const WRITING =
  "input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable], dialog[open]";

/** The command that these keys mean now, or null. */
function meant(event) {
  // A dialog's field keeps the focus until the next frame after the dialog was closed.
  const typing = !event.target.closest?.("dialog:not([open])") && event.target.closest?.(WRITING);
  const control = event.ctrlKey || event.metaKey;
  if (event.altKey || event.isComposing || (typing && !control)) return null;
  for (const one of registered.values()) {
    if (one.keys.some((keys) => matches(keys, event, control)) && one.when()) return one;
  }
  return null;
}

function matches(keys, event, control) {
  const parts = keys.split("+");
  const key = parts.pop() || "+";
  if (parts.includes("Ctrl") !== control) return false;
  // A sign such as ? needs Shift on some keyboards and none on others.
  const letter = /^\p{L}$/u.test(key);
  if ((letter || key.length > 1) && parts.includes("Shift") !== event.shiftKey) return false;
  return event.key === key || event.key.toLowerCase() === key.toLowerCase() || onKeyboard(key, event);
}

/** A Persian or Chinese keyboard types other letters on the same keys. */
function onKeyboard(key, event) {
  const latin = /^[\x20-\x7e]$/.test(event.key);
  return !latin && event.key.length === 1 && event.code === `Key${key.toUpperCase()}`;
}

/** Out of a field, so that keys are commands again; a dialog is closed by its own Escape. */
function leaves({ key, isComposing, target }) {
  return key === "Escape" && !isComposing && target.closest?.(WRITING) && !target.closest("dialog");
}

document.addEventListener("keydown", (event) => {
  if (leaves(event)) event.target.blur();
  const one = meant(event);
  if (one === null) return;
  event.preventDefault();
  one.run(event.key);
});
