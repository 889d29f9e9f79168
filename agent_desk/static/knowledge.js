// The knowledge base beside the call: found as one types, proposed from the queue and the note, read
// in the panel, judged and flagged there.

import { articleBody } from "./article_view.js";
import { el, icon, name, show, textsOf } from "./elements.js";
import { get, latest, post, Refused } from "./requests.js";

const PAUSE_MS = 150;
const NOTE_PAUSE_MS = 1_200;

export function mount(place, workplace) {
  const texts = textsOf("knowledge");
  const find = (which) => place.querySelector(`[data-knowledge-${which}]`);
  const field = find("find");
  const list = find("list");
  const reader = find("article");
  const note = document.querySelector("[data-note]");
  const nextLook = latest();
  let timer = 0;
  let shown = null;
  let open = null;
  let cameFrom = null;

  const asked = () =>
    workplace.call ? { pbx: workplace.call.pbx, call: workplace.call.call } : {};

  workplace.listen(({ call, customer }) => {
    const meant = `${call?.key} ${call?.queue} ${customer?.id}`;
    if (meant === shown) return;
    shown = meant;
    look();
  });
  note.addEventListener("input", () => {
    if (!field.value.trim()) later(NOTE_PAUSE_MS);
  });
  field.addEventListener("input", () => {
    if (open !== null) leave();
    later(PAUSE_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "ArrowDown"].includes(event.key)) return;
    const first = list.querySelector(".article-line");
    if (!first) return;
    event.preventDefault();
    if (event.key === "Enter") first.click();
    else first.focus();
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const lines = [...list.querySelectorAll(".article-line")];
    const at = lines.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    (lines[at + step] ?? (step < 0 ? field : lines[at])).focus();
  });

  function later(pause) {
    clearTimeout(timer);
    timer = setTimeout(look, pause);
  }

  async function look() {
    clearTimeout(timer);
    const signal = nextLook();
    const words = field.value.trim();
    let found;
    try {
      const answer = words
        ? await get("/api/articles", { ...asked(), find: field.value }, { signal })
        : await post("/api/articles/suggest", { ...asked(), note: note.value }, { signal });
      found = answer.articles;
    } catch {
      return;
    }
    if (signal.aborted) return;
    find("head").textContent = words ? texts.found : texts.suggested;
    show(list, [words && found.length === 0 ? words : "", found], () => {
      if (found.length > 0) return found.map(line);
      if (!words) return el("li", { class: "empty-line" }, texts.none);
      return el(
        "li",
        { class: "empty-line" },
        el("p", {}, texts.nothing),
        flagForm(null, words, texts.missing_sent),
      );
    });
  }

  function line(one) {
    return el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: "article-line",
          "data-article": one.id,
          onclick: (event) => read(one.id, one.language, event.currentTarget),
        },
        el(
          "span",
          { class: "article-title", lang: one.language, dir: "auto" },
          one.title,
          one.wished
            ? null
            : el("span", { class: "badge" }, texts.languages[one.language] ?? one.language),
        ),
        el("span", { class: "article-summary", lang: one.language, dir: "auto" }, one.summary),
      ),
    );
  }

  async function read(id, language, from = null) {
    let article;
    try {
      article = await get(`/api/articles/${id}`, { language });
    } catch (error) {
      workplace.say(error instanceof Refused ? error.message : texts.try_again);
      return;
    }
    cameFrom = from ?? cameFrom;
    open = id;
    find("browse").hidden = true;
    reader.hidden = false;
    draw(article);
    reader.scrollIntoView({ block: "nearest" });
    reader.querySelector("h2").focus({ preventScroll: true });
  }

  function leave() {
    open = null;
    reader.hidden = true;
    reader.replaceChildren();
    find("browse").hidden = false;
  }

  function back() {
    const id = open;
    leave();
    (list.querySelector(`[data-article="${id}"]`) ?? cameFrom ?? field).focus();
  }

  function draw(article) {
    reader.replaceChildren(
      el(
        "p",
        { class: "article-bar" },
        el("button", { type: "button", class: "button", onclick: back }, icon("back"), texts.back),
        article.languages.length > 1
          ? el(
              "select",
              {
                "aria-label": texts.language,
                onchange: (event) => read(article.id, event.target.value),
              },
              article.languages.map((code) =>
                el("option", { value: code, lang: code, selected: code === article.language }, texts.languages[code]),
              ),
            )
          : null,
        article.may_edit
          ? el("a", { class: "button", href: `/setup/articles/${article.id}`, target: "_blank" }, texts.edit)
          : null,
      ),
      el(
        "article",
        { lang: article.language, dir: "auto" },
        el("h2", { tabindex: "-1", dir: "auto" }, article.title),
        article.due ? el("p", { class: "badge article-due" }, texts.due) : null,
        article.flags.map((flag) =>
          el("p", { class: "notice article-warning" }, `${texts.kinds[flag.kind]}: `, name(flag.text)),
        ),
        el("div", { class: "article-body" }, articleBody(article.body)),
      ),
      el(
        "p",
        { class: "muted article-foot" },
        `${texts.owner} `,
        name(article.owner),
        ` · ${texts.review} `,
        el("span", { dir: "ltr" }, article.review_on),
      ),
      votes(article),
      el(
        "details",
        { class: "article-flagging" },
        el("summary", {}, texts.flag),
        flagForm(article.id, "", texts.sent),
      ),
    );
  }

  function votes(article) {
    const buttons = [true, false].map((helpful) =>
      el(
        "button",
        {
          type: "button",
          class: "button",
          "aria-pressed": String(article.vote === helpful),
          onclick: () => vote(helpful),
        },
        helpful ? texts.helpful : texts.unhelpful,
      ),
    );
    const said = el("span", { class: "muted", role: "status" });
    const vote = async (helpful) => {
      try {
        const now = await post(`/api/articles/${article.id}/vote`, { helpful });
        buttons.forEach((button, at) => button.setAttribute("aria-pressed", (at === 0) === helpful));
        said.textContent = texts.votes.replace("%(yes)s", now.helpful).replace("%(no)s", now.unhelpful);
      } catch {
        said.textContent = texts.try_again;
      }
    };
    return el("p", { class: "article-votes" }, texts.did_it_help, " ", buttons, said);
  }

  function flagForm(articleId, words, thanks) {
    const kind = articleId === null
      ? null
      : el(
          "select",
          { "aria-label": texts.what, name: "kind" },
          ["wrong", "outdated", "missing"].map((one) => el("option", { value: one }, texts.kinds[one])),
        );
    const text = el("textarea", { rows: "2", maxlength: "2000", dir: "auto", "aria-label": texts.flag_text });
    text.value = words;
    const said = el("p", { class: "muted", role: "status" });
    return el(
      "form",
      {
        class: "article-flag-form",
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            await post("/api/articles/flags", {
              article: articleId,
              kind: kind?.value ?? "missing",
              text: text.value,
            });
            text.value = "";
            said.textContent = thanks;
          } catch (error) {
            said.textContent = error instanceof Refused ? error.message : texts.try_again;
          }
        },
      },
      kind,
      text,
      el("button", { type: "submit", class: "button" }, articleId === null ? texts.tell_missing : texts.send),
      said,
    );
  }

  // ---- what waits for me ------------------------------------------------------------------------

  async function drawMine() {
    let mine;
    try {
      mine = await get("/api/articles/mine");
    } catch {
      return;
    }
    const waiting = mine.due.length + mine.flags.length;
    const box = find("mine");
    box.hidden = waiting + mine.answered.length === 0;
    find("mine-count").textContent = waiting || "";
    find("mine-list").replaceChildren(
      ...mine.due.map((one) => el("li", {}, el("span", { class: "badge article-due" }, texts.due), line(one).firstChild)),
      ...mine.flags.map(flagLine),
      ...mine.answered.map((one) =>
        el(
          "li",
          { class: "article-answered" },
          el("p", { class: "muted" }, `${texts.kinds[one.kind]}: `, name(one.text)),
          el("p", {}, `${texts.answer}: `, name(one.answer || texts.settled)),
        ),
      ),
    );
  }

  function flagLine(flag) {
    const answer = el("input", { maxlength: "2000", dir: "auto", "aria-label": texts.answer, placeholder: texts.answer });
    const problem = el("p", { class: "muted", role: "status" });
    return el(
      "li",
      { class: "article-answered" },
      el("p", {}, el("span", { class: "badge article-due" }, texts.kinds[flag.kind]), " ", name(flag.title)),
      el("p", { class: "free-text" }, flag.text),
      el("p", { class: "muted" }, name(flag.agent)),
      el(
        "form",
        {
          class: "article-answer",
          onsubmit: async (event) => {
            event.preventDefault();
            try {
              await post(`/api/articles/flags/${flag.id}/settle`, { answer: answer.value });
              await drawMine();
            } catch (error) {
              problem.textContent = error instanceof Refused ? error.message : texts.try_again;
            }
          },
        },
        answer,
        el("button", { type: "submit", class: "button" }, texts.settle),
      ),
      problem,
    );
  }

  find("mine").addEventListener("toggle", (event) => {
    if (event.target.open) drawMine();
  });
  drawMine();

  workplace.command({
    id: "knowledge",
    title: texts.command,
    keys: "b",
    run: () => {
      document.getElementById(place.getAttribute("aria-labelledby"))?.click();
      if (open !== null) leave();
      field.focus();
      field.select();
    },
  });
  addEventListener("show-article", (event) => {
    document.getElementById(place.getAttribute("aria-labelledby"))?.click();
    read(event.detail.id, event.detail.language ?? "");
  });
}
