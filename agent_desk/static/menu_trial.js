// Trying a phone menu: what would be heard stands here, and its keys can be pressed. The conversation
// itself runs on the server, as for a caller.

import { el } from "./elements.js";
import { get, post, Refused } from "./requests.js";

const KEYS = [..."123456789*0#"];

/** The panel; `tree()` gives the menu as it is now, `at(node)` is told where the conversation is. */
export function menuTrial({ texts, choices, tree, at }) {
  const said = el("ol", { class: "trial-said", "aria-live": "polite" });
  const problem = el("p", { class: "notice notice-bad", role: "alert", hidden: true });
  const number = el("input", { dir: "ltr", maxlength: "20", autocomplete: "off", inputmode: "tel", placeholder: texts.number_hint });
  const button = (label, onclick, kind = "button") => el("button", { type: "button", class: kind, onclick }, label);
  const keypad = el(
    "div",
    { class: "trial-keys", role: "group", "aria-label": texts.keypad, dir: "ltr" },
    KEYS.map((key) => button(key, () => press(key), "button trial-key")),
  );
  const during = el(
    "div",
    { class: "trial-during", hidden: true },
    said,
    el(
      "div",
      { class: "trial-hand" },
      keypad,
      button(texts.silent, () => answer({ silent: true })),
      button(texts.hang_up, () => answer({ hang_up: true })),
    ),
  );
  let name = null;

  async function begin() {
    problem.hidden = true;
    said.replaceChildren();
    try {
      const wish = { code: choices.code, tree: tree(), number: number.value };
      ({ trial: name } = await post("/api/menus/trials", wish));
    } catch (error) {
      complain(error);
      return;
    }
    during.hidden = false;
    during.dataset.state = "on";
    during.scrollIntoView({ block: "nearest" });
    await follow(name);
  }

  async function follow(mine) {
    let after = 0;
    while (name === mine && during.dataset.state === "on") {
      try {
        const { events, next } = await get(`/api/menus/trials/${mine}`, { after });
        after = next;
        if (name === mine) for (const event of events) await show(event);
      } catch (error) {
        if (name === mine) end(error instanceof Refused && error.status === 404 ? texts.over : texts.failed);
      }
    }
  }

  async function show(event) {
    if (event.place) at(event.place);
    switch (event.kind) {
      case "say":
        add("trial-heard", event.parts.map((one) => el("span", { lang: one.language, dir: "auto" }, one.text, " ")));
        await answer({ heard: event.number });
        break;
      case "record":
        add("trial-note", texts.recording);
        break;
      case "gone":
        end((texts.gone[event.to] ?? "").replace("%(name)s", choices.queues[event.name] ?? event.name));
        break;
      case "over":
        end(texts.over);
        break;
      case "failed":
        end(texts.failed);
        break;
    }
  }

  async function press(key) {
    if (during.dataset.state !== "on") return;
    add("trial-pressed", el("kbd", { dir: "ltr" }, key));
    await answer({ press: key });
  }

  async function answer(wish) {
    if (during.dataset.state !== "on") return;
    try {
      await post(`/api/menus/trials/${name}`, wish);
    } catch (error) {
      complain(error);
    }
  }

  function add(kind, content) {
    said.append(el("li", { class: kind }, content));
    said.scrollTop = said.scrollHeight;
  }

  function end(text) {
    during.dataset.state = "over";
    add("trial-note", text);
  }

  async function callMe() {
    problem.hidden = true;
    try {
      await post("/api/menus/call", { code: choices.code, tree: tree() });
      called.textContent = texts.calling;
    } catch (error) {
      complain(error);
    }
  }

  function complain(error) {
    problem.textContent = error instanceof Refused ? error.message : texts.try_again;
    problem.hidden = false;
  }

  const called = el("p", { class: "hint", role: "status" });
  during.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea") || !KEYS.includes(event.key)) return;
    event.preventDefault();
    press(event.key);
  });
  const element = el(
    "section",
    { class: "panel panel-padded menu-trial-panel", "aria-label": texts.try },
    el("header", { class: "setup-head" }, el("h2", {}, texts.try)),
    el("p", { class: "hint" }, texts.nothing_kept),
    el(
      "div",
      { class: "trial-begin" },
      el("label", { class: "field" }, el("span", {}, texts.as_caller), number),
      button(texts.try, begin, "button button-main"),
      button(texts.call_me, callMe),
      called,
    ),
    problem,
    during,
  );
  return { element };
}
