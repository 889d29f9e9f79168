// The form of one step in the script's editor. It writes into the step it is given, and says when
// something changed; what is wrong is said by the server.

import { el } from "./elements.js";

/** The elements of the form; `about` has the steps, texts and what to do about changes. */
export function stepForm(step, about) {
  const { texts, choices, languages, steps, changed, redraw } = about;
  step.fields ??= [];
  step.next ??= [];

  const labelled = (label, control) => el("label", { class: "field" }, el("span", {}, label), control);

  function written(value, write, attributes = {}) {
    const input = el("input", { maxlength: "200", dir: "auto", autocomplete: "off", ...attributes });
    input.value = value ?? "";
    input.addEventListener("input", () => {
      write(input.value);
      changed();
    });
    return input;
  }

  function chosenFrom(lines, value, write, { again = false, label = null } = {}) {
    return el(
      "select",
      {
        "aria-label": label,
        onchange: (event) => {
          write(event.target.value);
          if (again) redraw();
          else changed();
        },
      },
      lines.map(([code, title]) =>
        el("option", { value: code, selected: code === (value ?? "") }, title),
      ),
    );
  }

  function ticked(label, value, write, again = false) {
    const box = el("input", { type: "checkbox", checked: Boolean(value) });
    box.addEventListener("change", () => {
      write(box.checked);
      if (again) redraw();
      else changed();
    });
    return el("label", { class: "check" }, box, el("span", {}, label));
  }

  const button = (label, onclick, kind = "button") => el("button", { type: "button", class: kind, onclick }, label);

  /** A text in every language of the script. */
  function inLanguages(label, held, long = false) {
    return el(
      "fieldset",
      { class: "setup-group" },
      el("legend", {}, label),
      languages.map((code) => {
        const field = el(long ? "textarea" : "input", {
          lang: code,
          dir: "auto",
          maxlength: long ? "4000" : "200",
          rows: long ? "3" : null,
          autocomplete: "off",
          "aria-label": `${label}: ${choices.names[code]}`,
        });
        field.value = held[code] ?? "";
        field.addEventListener("input", () => {
          if (field.value) held[code] = field.value;
          else delete held[code];
          changed();
        });
        return el(
          "div",
          { class: "editor-language" },
          el("span", { lang: code, class: "hint" }, choices.names[code]),
          field,
          long ? placeholderButtons(field) : null,
        );
      }),
    );
  }

  function placeholderButtons(field) {
    const select = chosenFrom(
      [["", texts.insert], ...Object.entries(choices.placeholders)],
      "",
      (name) => {
        if (!name) return;
        field.setRangeText(`{${name}}`, field.selectionStart, field.selectionEnd, "end");
        field.dispatchEvent(new Event("input"));
        select.value = "";
        field.focus();
      },
      { label: texts.insert },
    );
    return select;
  }

  function fieldForm(field) {
    return el(
      "fieldset",
      { class: "editor-part" },
      el("legend", { class: "unseen" }, field.name),
      el(
        "div",
        { class: "editor-row" },
        labelled(texts.name, written(field.name, (value) => { field.name = value; }, { dir: "ltr", maxlength: "40" })),
        labelled(texts.kind, chosenFrom(Object.entries(texts.kinds), field.kind, (value) => {
          field.kind = value;
          if (value === "choice") field.choices ??= [];
          else delete field.choices;
        }, { again: true })),
        labelled(texts.fills, chosenFrom(
          [["", texts.fills_nothing], ...Object.entries(choices.fills)],
          field.fills,
          (value) => { field.fills = value; },
        )),
      ),
      ticked(texts.required, field.required, (value) => { field.required = value; }),
      inLanguages(texts.label, (field.label ??= {})),
      field.kind === "choice" ? choiceForms(field) : null,
      button(texts.remove, () => {
        step.fields = step.fields.filter((one) => one !== field);
        redraw();
      }),
    );
  }

  function choiceForms(field) {
    field.choices ??= [];
    return el(
      "div",
      { class: "editor-choices" },
      el("h4", {}, texts.choices),
      field.choices.map((choice) =>
        el(
          "div",
          { class: "editor-part" },
          labelled(texts.value, written(choice.value, (value) => { choice.value = value; }, { dir: "ltr", maxlength: "100" })),
          inLanguages(texts.label, (choice.label ??= {})),
          button(texts.remove, () => {
            field.choices = field.choices.filter((one) => one !== choice);
            redraw();
          }),
        ),
      ),
      button(texts.add_choice, () => {
        field.choices.push({ value: `choice-${field.choices.length + 1}`, label: {} });
        redraw();
      }),
    );
  }

  const everyStep = () => steps.filter((one) => one !== step).map((one) => [one.id, about.titleOf(one)]);
  const everyField = () => steps.flatMap((one) => one.fields ?? []);

  function branchForm(branch) {
    const { when } = branch;
    const fields = everyField();
    const asked = fields.find(({ name }) => name === when.field);
    const test = ["in", "above", "below"].find((one) => when[one] !== undefined && when[one] !== null) ?? "is";
    const set = (value) => {
      for (const one of ["is", "in", "above", "below"]) delete when[one];
      when[test] = value;
    };
    const part = el("div", { class: "editor-part" });
    const tests = asked?.kind === "number" || asked?.kind === "date"
      ? ["is", "above", "below"]
      : asked?.kind === "yes_no" ? ["is"] : ["is", "in"];
    part.append(
      el(
        "div",
        { class: "editor-row" },
        labelled(texts.when, chosenFrom(
          [["", "–"], ...fields.map(({ name, label }) => [name, label?.[languages[0]] || name])],
          when.field,
          (name) => {
            branch.when = { field: name };
          },
          { again: true },
        )),
        labelled("\u00a0", chosenFrom(tests.map((one) => [one, texts.tests[one]]), test, (one) => {
          branch.when = { field: when.field, [one]: one === "in" ? [] : one === "is" ? "" : 0 };
        }, { again: true, label: texts.condition })),
        labelled(texts.value, valueForm(asked, test, when[test], set)),
        labelled(texts.to, chosenFrom([["", texts.nowhere], ...everyStep()], branch.to, (id) => { branch.to = id; })),
      ),
      button(texts.remove, () => {
        step.next = step.next.filter((one) => one !== branch);
        redraw();
      }),
    );
    return part;
  }

  function valueForm(asked, test, value, set) {
    if (asked?.kind === "yes_no") {
      return chosenFrom(
        [["", "–"], ["true", texts.yes], ["false", texts.no]],
        value === undefined || value === "" ? "" : String(value),
        (text) => set(text === "true"),
      );
    }
    if (asked?.kind === "choice" && test === "is") {
      const lines = (asked.choices ?? []).map((one) => [one.value, one.label?.[languages[0]] || one.value]);
      return chosenFrom([["", "–"], ...lines], value, set);
    }
    if (test === "in") {
      return written((value ?? []).join(", "), (text) =>
        set(text.split(",").map((one) => one.trim()).filter(Boolean)),
      );
    }
    const number = asked?.kind === "number";
    return written(
      value,
      (text) => set(number && text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text),
      asked?.kind === "date" ? { type: "date" } : number ? { inputmode: "decimal", dir: "ltr" } : {},
    );
  }

  return [
    el(
      "div",
      { class: "setup-head" },
      el("h2", {}, `${texts.step} `, el("bdi", {}, about.titleOf(step))),
      button(texts.up, () => about.move(-1)),
      button(texts.down, () => about.move(1)),
      button(texts.remove, () => about.remove()),
    ),
    labelled(texts.id, idField()),
    inLanguages(texts.title, step.title),
    inLanguages(texts.text, step.text, true),
    el("h3", {}, texts.fields),
    ...step.fields.map(fieldForm),
    button(texts.add_field, () => {
      const names = new Set(everyField().map(({ name }) => name));
      let number = 1;
      while (names.has(`answer-${number}`)) number += 1;
      step.fields.push({ name: `answer-${number}`, kind: "text", label: {} });
      redraw();
    }),
    el("h3", {}, texts.next),
    ticked(texts.end, step.end, (value) => {
      step.end = value;
      if (value) {
        step.next = [];
        step.otherwise = null;
      }
    }, true),
    ...(step.end ? [] : wayForms()),
    labelled(texts.disposition, chosenFrom(
      [["", texts.none], ...Object.entries(choices.dispositions)],
      step.disposition,
      (code) => { step.disposition = code; },
    )),
  ];

  function idField() {
    return written(step.id, (value) => {
      const before = step.id;
      step.id = value;
      about.renamed(before);
    }, { dir: "ltr", maxlength: "40" });
  }

  function wayForms() {
    return [
      ...step.next.map(branchForm),
      button(texts.add_branch, () => {
        step.next.push({ when: { field: step.fields[0]?.name ?? "", is: "" }, to: "" });
        redraw();
      }),
      labelled(texts.otherwise, chosenFrom(
        [["", texts.nowhere], ...everyStep()],
        step.otherwise,
        (id) => { step.otherwise = id || null; },
      )),
    ];
  }
}
