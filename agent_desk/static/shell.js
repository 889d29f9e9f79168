// What every page behind the sign-in has: shortcuts, menus that close, the connection's banner.

import { command } from "./commands.js";
import { texts } from "./elements.js";
import { makeLocal } from "./moments.js";
import { Push } from "./push.js";

const shortcuts = document.getElementById("shortcuts");
const banner = document.querySelector("[data-banner]");

command({
  id: "shortcuts",
  title: texts.command.shortcuts,
  keys: "?",
  run: () => shortcuts.showModal(),
});
command({
  id: "find",
  title: texts.command.find,
  keys: "/",
  run: () => document.querySelector("[data-shortcut='/']").focus(),
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of openMenus()) close(menu);
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
  event.target.closest("[data-closes]")?.closest("dialog").close();
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
