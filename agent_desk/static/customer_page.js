// A customer's own page: the story, who else looks, and fields that are changed in their place.

import { el, icon, texts, textsOf } from "./elements.js";
import { post, Refused } from "./requests.js";
import { follow } from "./shell.js";
import { Story } from "./story.js";

const words = textsOf("story");
const followers = new Map();
const push = follow([], (frame) => {
  followers.get(frame.topic)?.(push.state.documents(frame.topic), frame);
});

const story = new Story(document.querySelector("[data-story-panel]"), (topic, fn) => {
  followers.set(topic, fn);
  push.subscribe(topic);
  return () => {
    followers.delete(topic);
    push.unsubscribe(topic);
  };
});
story.show(texts.customer);

// A form's moment is this computer's; the server is told how far that is from UTC on that day.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", () => {
    const zone = form.querySelector("[data-zone]");
    const at = form.elements.at?.value;
    if (zone && at) zone.value = -new Date(at).getTimezoneOffset();
  });
}
for (const input of document.querySelectorAll("[data-now]")) {
  const now = new Date();
  now.setSeconds(0, 0);
  input.value ||= new Date(now - now.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const problem = document.querySelector("[data-edit-problem]");

for (const line of document.querySelectorAll("[data-edit]")) {
  const start = line.querySelector("[data-start-edit]");
  start.hidden = false;
  start.addEventListener("click", () => edit(line, start));
}

function edit(line, start) {
  const { edit: field, kind, value } = line.dataset;
  const place = line.querySelector("dd");
  const before = [...place.childNodes];
  const input = inputFor(kind, value, line.dataset.options);
  input.setAttribute("aria-label", line.querySelector("dt").textContent);
  const back = () => {
    place.replaceChildren(...before);
    start.focus();
  };
  const save = async () => {
    problem.hidden = true;
    if (input.value === value) {
      back();
      return;
    }
    try {
      await post(`/api/customers/${texts.customer}`, { [field]: input.value });
      location.reload();
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : words.try_again;
      problem.hidden = false;
      input.setAttribute("aria-invalid", "true");
      input.focus();
    }
  };
  const form = el(
    "form",
    { class: "in-place" },
    input,
    el("button", { class: "icon-button", type: "submit", "aria-label": words.save }, icon("onward")),
    el(
      "button",
      { class: "icon-button", type: "button", "aria-label": words.cancel, onclick: back },
      icon("close"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") back();
  });
  place.replaceChildren(form);
  input.focus();
}

function inputFor(kind, value, options) {
  if (kind === "choice") {
    const choices = Object.entries(JSON.parse(options));
    const select = el(
      "select",
      {},
      value === "" ? el("option", { value: "" }, "") : null,
      ...choices.map(([code, title]) => el("option", { value: code }, title)),
    );
    select.value = value;
    return select;
  }
  if (kind === "long") {
    const area = el("textarea", { rows: 4, maxlength: 20000, dir: "auto" });
    area.value = value;
    return area;
  }
  const input = el("input", {
    type: kind,
    maxlength: kind === "tel" ? 64 : 254,
    dir: kind === "text" ? "auto" : "ltr",
  });
  input.value = value;
  return input;
}
