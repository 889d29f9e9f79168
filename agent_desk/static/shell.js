// What every page behind the sign-in has: shortcuts, menus that close, the connection's banner.

import { texts } from "./elements.js";
import { makeLocal } from "./moments.js";
import { Push } from "./push.js";

const shortcuts = document.getElementById("shortcuts");
const banner = document.querySelector("[data-banner]");
const keys = new Map();

/** Do `action` when the key is pressed outside of fields (and no dialog is open). */
export function onKey(key, action) {
  keys.set(key, action);
}

onKey("?", () => shortcuts.showModal());
onKey("/", () => document.querySelector("[data-shortcut='/']").focus());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape") for (const menu of openMenus()) close(menu);
  // A dialog just closed may still hold the focus: only an open one keeps the keys.
  if (event.target.closest("input, textarea, select, dialog[open]")) return;
  const action = keys.get(event.key) ?? keys.get(event.key.toLowerCase());
  if (action) {
    event.preventDefault();
    action(event.key);
  }
});

makeLocal(document);

const openMenus = () => document.querySelectorAll("details.menu[open]");

function close(menu) {
  const had = menu.contains(document.activeElement);
  menu.open = false;
  if (had) menu.querySelector("summary").focus();
}

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) if (!menu.contains(event.target)) menu.open = false;
  const opener = event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens).showModal();
});

const asks = document.querySelector("[data-asks-notifications]");
if ("Notification" in window && Notification.permission === "default") {
  asks.hidden = false;
  asks.addEventListener("click", async () => {
    asks.hidden = (await Notification.requestPermission()) !== "default";
  });
}

document.querySelector("[data-sign-out]").addEventListener("submit", () => {
  // The next person at this computer finds nothing of this one's.
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith("deskbell:") && JSON.parse(localStorage[key]).saved) {
      localStorage.removeItem(key);
    }
  }
});

/** Connect the page to the push; the banner says when that is not so. */
export function follow(topics, onFrame, onBack = () => {}) {
  return new Push(topics, onFrame, (connection) => {
    document.documentElement.dataset.connection = connection;
    banner.hidden = connection === "connected";
    if (connection === "connected") onBack();
    else banner.textContent = connection === "over" ? texts.session_over : texts.not_connected;
    if (connection === "over") {
      location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
    }
  });
}
