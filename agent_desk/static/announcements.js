// What is said to the agent in passing: read out politely, and shown for a moment.

import { el } from "./elements.js";

const SHOWN_MS = 5_000;
const MOST = 3;

/** Say `text`: screen readers hear it, eyes see it for some seconds. */
export function say(text) {
  const place = document.querySelector("[data-toasts]");
  const toast = el("p", { class: "toast" }, text);
  place.append(toast);
  while (place.children.length > MOST) place.firstElementChild.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}
