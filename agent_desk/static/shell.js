// What every page behind the sign-in has: shortcuts, menus that close, the connection's banner.

import { command, findable } from "./commands.js";
import { texts } from "./elements.js";
import { makeLocal } from "./moments.js";
import { Push } from "./push.js";
import { get } from "./requests.js";
import { showShortcuts } from "./shortcut_list.js";

const shortcuts = document.getElementById("shortcuts");
const banner = document.querySelector("[data-banner]");

command({
  id: "palette",
  title: texts.command.palette,
  keys: "Ctrl+k",
  run: openPalette,
});
command({
  id: "leave-field",
  title: texts.command.leave_field,
  keys: "Escape",
  when: () => false,
});
command({
  id: "shortcuts",
  title: texts.command.shortcuts,
  keys: "?",
  run: () => showShortcuts(shortcuts),
});
command({
  id: "find",
  title: texts.command.find,
  keys: "/",
  run: () => document.querySelector("[data-shortcut='/']").focus(),
});

async function openPalette() {
  (await import("./palette.js")).open();
}

findable(() =>
  [...document.querySelectorAll(".nav a, [data-page]")].map((link) => ({
    id: `page:${link.getAttribute("href")}`,
    group: "page",
    title: link.textContent.trim(),
    icon: "page",
    run: () => location.assign(link.href),
  })),
);
findable(
  async (words, signal) => {
    const { people, hits } = await get("/api/search", { find: words }, { signal });
    const everything = `/search?${new URLSearchParams({ find: words })}`;
    return [
      ...people.map((person) => ({
        id: `customer:${person.id}`,
        group: "customer",
        title: person.name,
        detail: person.detail,
        icon: "person",
        run: () => visit(`/customers/${person.id}`),
      })),
      ...hits.map((hit, place) => ({
        id: `written:${place}`,
        group: "written",
        title: hit.title,
        detail: hit.detail,
        icon: "page",
        run: () => visit(hit.address),
      })),
      ...[...people, ...hits].slice(0, 1).map(() => ({
        id: "written:all",
        group: "written",
        title: texts.palette.everything,
        detail: words,
        icon: "search",
        run: () => visit(everything),
      })),
    ];
  },
  { asked: true },
);

/** Go to a page; from the desk, which stays as it is, in a new tab. */
export function visit(path) {
  if (document.querySelector("[data-live=desk]")) window.open(path, "_blank");
  else location.assign(path);
}

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
  const opens = event.target.closest("[data-opens]")?.dataset.opens;
  if (opens === "palette") openPalette();
  else if (opens === "shortcuts") showShortcuts(shortcuts);
  else if (opens) document.getElementById(opens).showModal();
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
