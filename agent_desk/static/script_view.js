// One step of a script as an agent sees it: what to say, what to write down, and the way on. The
// panel and the editor's try-out show it alike; neither a call nor a request is known here.

import { el, name, textsOf } from "./elements.js";

export const texts = textsOf("script");

/** A text cut at its placeholders: values stand out, and what is missing says so. */
export function spoken(parts, language, attributes = {}) {
  return el(
    "p",
    { lang: language, dir: texts.rtl.includes(language) ? "rtl" : "ltr", ...attributes },
    parts.map(({ kind, text }) => {
      if (kind === "text") return text;
      if (kind === "value") return el("bdi", { class: "script-value" }, text);
      return el("span", { class: "script-missing" }, texts.missing.replace("%s", text));
    }),
  );
}

/** The step's form. `go(to, answers)` is asked for "next" and "back", `typed(answers)` at each
 * change. The answer has `element`, `answers()`, `fault(field, message)` and `focus()`. */
export function scriptStep(step, { go, typed = () => {}, finished = false, preview = false }) {
  const fields = step.fields.map((field) => ({ field, ...control(field, preview || finished) }));
  const problem = el("p", { class: "notice notice-bad", role: "alert", hidden: true });
  const answers = () => Object.fromEntries(fields.map(({ field, read }) => [field.name, read()]));
  const last = step.end || preview;
  const onward = el(
    "button",
    { type: "submit", class: "button button-main", "data-next": true },
    step.end ? texts.finish : texts.next,
  );
  const element = el(
    "form",
    { class: "script-step", novalidate: true, "data-step": step.id },
    step.passed.length > 0
      ? el(
          "ol",
          { class: "script-passed", "aria-label": texts.passed },
          step.passed.map((title) => el("li", {}, title)),
        )
      : null,
    el("h3", { tabindex: "-1", dir: "auto" }, step.title),
    spoken(step.parts, step.language, { class: "script-text" }),
    fields.map(({ element: one }) => one),
    step.disposition
      ? el(
          "p",
          { class: "script-proposed" },
          `${texts.proposed} `,
          el("strong", {}, name(step.disposition.title)),
        )
      : null,
    problem,
    preview
      ? el("p", { class: "muted" }, texts.preview)
      : el(
          "div",
          { class: "script-foot" },
          step.passed.length > 0
            ? el(
                "button",
                { type: "button", class: "button", onclick: () => go("back", answers()) },
                texts.back,
              )
            : null,
          finished ? el("span", { class: "script-done", role: "status" }, texts.finished) : null,
          finished || (last && step.fields.length === 0) ? null : onward,
        ),
  );
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!preview && !finished) go("next", answers());
  });
  element.addEventListener("input", () => {
    problem.hidden = true;
    for (const { element: one } of fields) one.removeAttribute("data-wrong");
    typed(answers());
  });
  return {
    element,
    answers,
    fault(field, message) {
      const one = fields.find((each) => each.field.name === field);
      problem.replaceChildren(...(one ? [name(one.field.label), ": "] : []), message);
      problem.hidden = false;
      if (!one) return;
      one.element.setAttribute("data-wrong", "");
      one.element.querySelector("input, select, textarea").focus();
    },
    focus() {
      (element.querySelector("input, select, textarea") ?? element.querySelector("h3")).focus({
        preventScroll: true,
      });
    },
  };
}

function control(field, disabled) {
  const label = el(
    "span",
    {},
    name(field.label),
    field.required ? null : el("small", { class: "hint" }, ` ${texts.optional}`),
    field.fills ? el("small", { class: "hint" }, ` · ${texts.fills}`) : null,
  );
  if (field.kind === "yes_no") {
    return radios(field, label, disabled, [
      { value: "yes", label: texts.yes, checked: field.value === true },
      { value: "no", label: texts.no, checked: field.value === false },
    ], (value) => ({ yes: true, no: false })[value] ?? null);
  }
  if (field.kind === "choice" && field.choices.length <= 5) {
    const lines = field.choices.map((one) => ({ ...one, checked: one.value === field.value }));
    return radios(field, label, disabled, lines, (value) => value ?? null);
  }
  const common = { name: field.name, disabled, required: field.required };
  let input;
  if (field.kind === "choice") {
    input = el(
      "select",
      common,
      el("option", { value: "" }, texts.choose),
      field.choices.map((one) =>
        el("option", { value: one.value, selected: one.value === field.value }, one.label),
      ),
    );
  } else {
    const long = ["customer.notes", "interaction.summary"].includes(field.fills);
    input = el(long ? "textarea" : "input", {
      ...common,
      ...(field.kind === "date" ? { type: "date" } : { dir: "auto", autocomplete: "off" }),
      ...(field.kind === "number" ? { inputmode: "decimal" } : {}),
      ...(long ? { rows: "2" } : {}),
      maxlength: field.kind === "date" ? null : "2000",
    });
    input.value = field.value ?? "";
  }
  return {
    element: el("label", { class: "field" }, label, input),
    read: () => input.value || null,
  };
}

function radios(field, label, disabled, lines, meant) {
  const element = el(
    "fieldset",
    { class: "script-choice", disabled },
    el("legend", {}, ...label.childNodes),
    el(
      "div",
      {},
      lines.map((line) =>
        el(
          "label",
          { class: "script-pill" },
          el("input", {
            type: "radio",
            name: field.name,
            value: line.value,
            checked: line.checked,
          }),
          el("span", {}, line.label),
        ),
      ),
    ),
  );
  return {
    element,
    read: () => meant(element.querySelector("input:checked")?.value),
  };
}
