// Canned texts: found by code or words, put into the note or copied; `;code` and a space in the note
// puts one in where it stands.

import { el, icon, show, textsOf } from "./elements.js";
import { get, latest, post, Refused } from "./requests.js";
import { spoken } from "./script_view.js";

const PAUSE_MS = 150;
const SHORTHAND = /(?:^|\s)([;；][a-z0-9][a-z0-9-]{0,39})[ 　]$/i;

export function mount(place, workplace) {
  const texts = textsOf("texts");
  const field = place.querySelector("[data-texts-find]");
  const list = place.querySelector("[data-texts-list]");
  const select = place.querySelector("[data-texts-language]");
  const note = document.querySelector("[data-note]");
  const nextLook = latest();
  let chosenLanguage = "";
  let timer = 0;
  let shown = null;

  const asked = () =>
    workplace.call ? { pbx: workplace.call.pbx, call: workplace.call.call } : {};

  workplace.listen(({ call, customer, state }) => {
    const meant = `${call?.key} ${call?.queue} ${customer?.id} ${state === null}`;
    if (meant === shown) return;
    if (shown?.split(" ")[0] !== meant.split(" ")[0]) chosenLanguage = "";
    shown = meant;
    look();
  });

  async function look() {
    const signal = nextLook();
    let answer;
    try {
      const wish = { ...asked(), find: field.value, language: chosenLanguage };
      answer = await get("/api/texts", wish, { signal });
    } catch {
      return;
    }
    if (signal.aborted) return;
    select.value = answer.language;
    show(list, answer, () =>
      answer.texts.length > 0
        ? answer.texts.map((one) => line(one, answer.language))
        : el("li", { class: "empty-line" }, texts.nothing),
    );
  }

  function line(one, wished) {
    const needs = one.missing.map(({ name, label }) => ({
      name,
      input: el("input", { maxlength: "200", dir: "auto", autocomplete: "off", "aria-label": label, placeholder: label }),
    }));
    const problem = el("p", { class: "notice notice-bad", role: "alert", hidden: true });
    const take = async (whereTo) => {
      const values = Object.fromEntries(needs.map(({ name, input }) => [name, input.value]));
      const whole = await use({ code: one.code, language: one.language, values }, (error) => {
        problem.textContent = error;
        problem.hidden = false;
        needs.find(({ input }) => !input.value.trim())?.input.focus();
      });
      if (whole === null) return;
      problem.hidden = true;
      await whereTo(whole);
    };
    return el(
      "li",
      { class: "canned", "data-code": one.code },
      el(
        "p",
        { class: "canned-head" },
        el("strong", { dir: "auto" }, one.title),
        el("code", { dir: "ltr" }, `;${one.code}`),
        one.language === wished
          ? null
          : el("span", { class: "badge" }, texts.languages[one.language] ?? one.language),
      ),
      spoken(one.parts, one.language, { class: "canned-text" }),
      needs.length > 0
        ? el("div", { class: "canned-needs" }, needs.map(({ input }) => input))
        : null,
      problem,
      el(
        "p",
        { class: "canned-foot" },
        el(
          "button",
          {
            type: "button",
            class: "button",
            onclick: () =>
              take((whole) => {
                if (note.disabled) workplace.say(texts.no_note);
                else workplace.note.insert(whole);
              }),
          },
          icon("note"),
          texts.insert,
        ),
        el(
          "button",
          {
            type: "button",
            class: "button",
            onclick: () =>
              take(async (whole) => {
                await navigator.clipboard.writeText(whole);
                workplace.say(texts.copied);
              }),
          },
          texts.copy,
        ),
      ),
    );
  }

  /** The whole text, or null: then `refuse(message, missing)` was told why. */
  async function use(wish, refuse) {
    try {
      return (await post("/api/texts/use", { ...asked(), ...wish })).text;
    } catch (error) {
      refuse(error instanceof Refused ? error.message : texts.try_again, error.status);
      return null;
    }
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    list.querySelector("button")?.click();
  });
  select.addEventListener("change", () => {
    chosenLanguage = select.value;
    look();
  });

  note.addEventListener("input", async (event) => {
    if (event.isComposing || event.inputType?.startsWith("delete")) return;
    const found = SHORTHAND.exec(note.value.slice(0, note.selectionStart));
    if (!found) return;
    const shorthand = found[1];
    const from = note.selectionStart - shorthand.length - 1;
    const whole = await use({ code: shorthand.slice(1), language: chosenLanguage }, (error, status) => {
      if (status !== 409) return;
      workplace.say(error);
      field.value = shorthand;
      reveal();
      look();
    });
    // Only where it still stands; whoever has written on meanwhile keeps their cursor.
    if (whole === null || note.value.slice(from, from + shorthand.length + 1) .trimEnd() !== shorthand) return;
    const cursor = note.selectionStart;
    note.setSelectionRange(from, from + shorthand.length + 1);
    workplace.note.insert(whole);
    const after = from + shorthand.length + 1;
    if (cursor > after) {
      const moved = cursor + whole.length - shorthand.length - 1;
      note.setSelectionRange(moved, moved);
    }
  });

  function reveal() {
    document.getElementById(place.getAttribute("aria-labelledby"))?.click();
  }

  workplace.command({
    id: "texts",
    title: texts.command,
    keys: "i",
    run: () => {
      reveal();
      field.focus();
      field.select();
    },
  });
}
