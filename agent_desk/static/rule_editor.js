// The editor of an inbox rule: when ... if ... then ..., put together by menus, and tried on what came
// in before. The server's data field holds the rule; what is wrong with it is said by the server.

import { el, textsOf } from "./elements.js";
import { exactMoment, iso } from "./inbox_words.js";
import { post, Refused } from "./requests.js";
import "./shell.js";

const words = textsOf("rule");
const choices = textsOf("rule-choices");
const WAITING = "waiting_minutes";

const form = document.querySelector("[data-rule-editor]");
const place = form.querySelector("[data-editor]");
const raw = form.elements.rule;
const rule = JSON.parse(raw.value);
form.querySelector("[data-raw-rule]").hidden = true;

const write = () => {
  raw.value = JSON.stringify(rule);
};
const button = (title, onclick) => el("button", { type: "button", class: "button button-small", onclick }, title);

function draw() {
  write();
  place.replaceChildren(
    part(words.when, [moment()]),
    part(words.if, [
      el("p", { class: "hint" }, words.all_of_them),
      ...rule.conditions.filter((one) => one.field !== WAITING).map(condition),
      button(words.add_condition, () => {
        rule.conditions.push({ field: "subject", operator: "contains", value: [""] });
        draw();
        place.querySelector(".rule-part:nth-child(2) .rule-row:nth-last-child(2) select").focus();
      }),
    ]),
    part(words.then, [
      ...rule.actions.map(action),
      button(words.add_action, () => {
        rule.actions.push({ do: "tag", value: "" });
        draw();
        place.querySelector(".rule-part:last-child .rule-row:nth-last-child(2) select").focus();
      }),
    ]),
    el("datalist", { id: "rule-tags" }, ...choices.tags.map((tag) => el("option", { value: tag }))),
  );
}

function part(title, rows) {
  return el("section", { class: "rule-part", "aria-label": title }, el("h2", {}, title), ...rows);
}

function select(label, options, value, onchange) {
  const found = el(
    "select",
    { "aria-label": label, onchange: (event) => onchange(event.target.value) },
    ...options.map(([code, title]) => el("option", { value: code, selected: code === value }, title)),
  );
  // What is not in the list any more is shown as it is, so that it is not changed unseen.
  const isThere = options.some(([code]) => code === value);
  if (value !== "" && !isThere) found.prepend(el("option", { value, selected: true }, value));
  else if (!isThere) found.prepend(el("option", { value: "", selected: true }, "–"));
  return found;
}

function input(label, value, onwrite, attributes = {}) {
  const field = el("input", { "aria-label": label, maxlength: "500", dir: "auto", autocomplete: "off", ...attributes });
  field.value = value;
  field.addEventListener("input", () => {
    onwrite(field.value);
    write();
  });
  return field;
}

function moment() {
  const waits = rule.conditions.find((one) => one.field === WAITING);
  const set = (minutes) => {
    rule.conditions = rule.conditions.filter((one) => one.field !== WAITING);
    if (minutes !== null) rule.conditions.unshift({ field: WAITING, operator: "is", value: minutes });
  };
  return el(
    "div",
    { class: "rule-row" },
    select(words.when, choices.moments, rule.moment, (code) => {
      rule.moment = code;
      set(code === "unanswered" ? (waits?.value ?? "60") : null);
      draw();
    }),
    ...(rule.moment === "unanswered"
      ? [input(words.minutes, String(waits?.value ?? ""), set, { type: "number", min: "1" }), el("span", {}, words.minutes)]
      : []),
  );
}

function remove(list, one) {
  return button(words.remove, () => {
    list.splice(list.indexOf(one), 1);
    draw();
  });
}

function condition(one) {
  const operators = (choices.comparisons[one.field] ?? []).flatMap((code) => [
    [code, choices.operators[code].yes],
    [`not ${code}`, choices.operators[code].no],
  ]);
  return el(
    "div",
    { class: "rule-row" },
    select(words.field, choices.fields, one.field, (code) => {
      one.field = code;
      [one.operator] = choices.comparisons[code];
      one.value = code === "hour" ? "09:00-18:00" : [];
      draw();
    }),
    select(words.compared, operators, one.not ? `not ${one.operator}` : one.operator, (code) => {
      one.not = code.startsWith("not ");
      one.operator = code.replace("not ", "");
      draw();
    }),
    ...value(one),
    remove(rule.conditions, one),
  );
}

const listed = (one) => (Array.isArray(one.value) ? one.value : [one.value]);

function value(one) {
  const known = choices.values[one.field];
  if (known) {
    const ticked = new Set(listed(one));
    const box = ([code, title]) =>
      el(
        "label",
        { class: "check" },
        el("input", {
          type: "checkbox",
          checked: ticked.has(code),
          onchange: (event) => {
            if (event.target.checked) ticked.add(code);
            else ticked.delete(code);
            one.value = [...ticked];
            write();
          },
        }),
        el("span", {}, title),
      );
    return [el("fieldset", { class: "rule-values" }, el("legend", { class: "unseen" }, words.value), ...known.map(box))];
  }
  if (one.field === "hour") {
    const [from, to] = String(listed(one)[0] ?? "").split("-");
    const times = { from: from ?? "", to: to ?? "" };
    const time = (which) =>
      input(words[which], times[which], (text) => {
        times[which] = text;
        one.value = `${times.from}-${times.to}`;
      }, { type: "time" });
    return [time("from"), el("span", {}, words.to), time("to")];
  }
  const hint = one.operator === "matches" ? words.like : words.several;
  return [
    input(words.value, listed(one).join(" | "), (text) => {
      one.value = text.split("|").map((each) => each.trim()).filter(Boolean);
    }, { placeholder: hint, ...(one.field === "tag" ? { list: "rule-tags" } : {}) }),
  ];
}

function action(one) {
  const named = choices.named[one.do];
  const controls = [];
  if (named) {
    const options = one.do === "close" ? [["", words.none], ...named] : named;
    controls.push(select(words.value, options, one.value ?? "", (code) => {
      one.value = code;
      write();
    }));
  } else if (one.do === "priority") {
    controls.push(input(words.value, one.value ?? "", (text) => { one.value = text; }, { type: "number", min: "1" }));
  } else if (one.do === "tag" || one.do === "task") {
    controls.push(input(words.value, one.value ?? "", (text) => { one.value = text; }, one.do === "tag" ? { list: "rule-tags" } : {}));
  }
  if (one.do === "task") {
    controls.push(input(words.due_in, String(one.minutes ?? ""), (text) => { one.minutes = text; }, { type: "number", min: "1" }), el("span", {}, words.due_in));
  }
  return el(
    "div",
    { class: "rule-row" },
    select(words.action, choices.actions, one.do, (code) => {
      for (const key of Object.keys(one)) delete one[key];
      one.do = code;
      if (!["close", "spam", "stop"].includes(code)) one.value = "";
      if (code === "task") one.minutes = "60";
      draw();
    }),
    ...controls,
    remove(rule.actions, one),
  );
}

// ---- the trial -----------------------------------------------------------------------------------

const trial = document.querySelector("[data-trial]");
const tryIt = form.querySelector("[data-try]");
tryIt.hidden = false;
tryIt.addEventListener("click", async () => {
  tryIt.disabled = true;
  try {
    show(await post("/api/rules/try", { rule, limit: 200 }));
  } catch (error) {
    trial.hidden = false;
    trial.replaceChildren(el("p", { class: "notice notice-bad" }, error instanceof Refused ? error.message : words.try_again));
  } finally {
    tryIt.disabled = false;
  }
});

function show({ tried, held, problems, lines }) {
  trial.hidden = false;
  if (problems.length) {
    trial.replaceChildren(el("ul", { class: "notice notice-bad" }, ...problems.map((said) => el("li", {}, said))));
    return;
  }
  const said = tried ? words.held.replace("%(held)s", held).replace("%(tried)s", tried) : words.nothing_tried;
  const sorted = [...lines].sort((a, b) => b.holds - a.holds);
  trial.replaceChildren(
    el("p", { class: "rule-trial-head" }, said),
    el(
      "div",
      { class: "rule-trial", tabindex: "0", role: "region", "aria-label": said },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ...Object.values(order(words.head)).map((title) => el("th", { scope: "col" }, title)))),
        el("tbody", {}, ...sorted.map(line)),
      ),
    ),
  );
  trial.scrollIntoView({ block: "nearest" });
}

const order = ({ at, who, subject, verdict }) => ({ at, who, subject, verdict });

function line(one) {
  return el(
    "tr",
    { "data-holds": String(one.holds) },
    el("td", {}, el("time", { datetime: iso(one.at) }, exactMoment(one.at))),
    el("td", { dir: "auto" }, el("bdi", {}, one.who)),
    el("td", { dir: "auto" }, el("a", { href: `/inbox#${one.conversation}`, target: "_blank" }, one.subject || "–")),
    el("td", {}, one.holds ? words.holds : words.fails.replace("%(condition)s", one.failed)),
  );
}

draw();
