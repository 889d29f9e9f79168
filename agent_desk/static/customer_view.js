// Who is calling, as the screen pop says: a card, a choice, a form for a new customer, or nobody.

import { el, icon, name, show, texts } from "./elements.js";
import { languageBadge, topicPath, trail } from "./menu_trail.js";
import { moment, shownPoints } from "./moments.js";
import { post, Refused } from "./requests.js";
import { whoIs } from "./workplace.js";

const storyIsThere = document.querySelector("[data-panel=story] > *") !== null;

export function mount(place, workplace) {
  workplace.listen(({ call, pop }) => {
    // A form that is being filled must not be rebuilt because the call was answered meanwhile.
    // A pop comes before its call, which alone knows that it is between colleagues.
    const internal = call?.direction === "internal";
    show(place, call && [call.key, internal, internal ? whoIs(call, pop) : pop], () => {
      if (!call) return document.getElementById("idle").content.cloneNode(true);
      if (internal) return colleague(call, pop);
      const inMenu = menuTrail(pop?.menu);
      // A card is short; a form or a choice would push the trail out of sight.
      const isLong = pop && !pop.looking_up && pop.matches.length !== 1;
      return el("div", { class: "who" }, isLong ? inMenu : null, who(pop, call), isLong ? null : inMenu);
    });
  });
}

function who(pop, call) {
  if (!pop || pop.looking_up) return skeleton();
  if (pop.matches.length === 1) return customerCard(pop.matches[0]);
  if (pop.matches.length > 1) return choice(pop, call);
  return newCustomer(pop, call);
}

/** What the caller heard and keyed in the phone menu, so that nobody asks again. */
function menuTrail(menu) {
  if (!menu || menu.steps.length === 0) return null;
  const steps = trail(menu.steps, menu.language);
  const details = el(
    "details",
    { class: "menu-trail" },
    el(
      "summary",
      {},
      el("strong", {}, texts.menu.title),
      " ",
      languageBadge(menu.language),
      topicPath(menu.steps, null),
    ),
    steps,
  );
  details.addEventListener("toggle", () => {
    steps.scrollTop = steps.scrollHeight;
  });
  return details;
}

/** A call between two desks has no customer. */
function colleague(call, pop) {
  return el(
    "div",
    { class: "empty" },
    el("span", { class: "avatar avatar-large", "aria-hidden": "true" }, icon("people")),
    el("h2", {}, name(whoIs(call, pop))),
    el("p", {}, texts.with_colleague),
  );
}

export function badge(segment) {
  return el("span", { class: "badge", "data-segment": segment }, texts.segment[segment] ?? segment);
}

function avatar(card, large = false) {
  const letter = [...card.name][0] ?? "";
  return el(
    "span",
    {
      class: large ? "avatar avatar-large" : "avatar",
      "data-segment": card.segment,
      "aria-hidden": "true",
    },
    letter,
  );
}

/** While the store has not answered. */
export function skeleton() {
  return el(
    "div",
    { class: "looking", role: "status" },
    el("span", { class: "unseen" }, texts.looking_up),
    ...["short", "long", "long", "short"].map((length) =>
      el("span", { class: `skeleton skeleton-${length}` }),
    ),
  );
}

/** One customer's card with the history. */
export function customerCard(card) {
  return el(
    "article",
    { class: "customer-card" },
    el(
      "header",
      { class: "customer-head" },
      avatar(card, true),
      el(
        "div",
        {},
        el(
          "h2",
          {},
          el("a", { href: `/customers/${card.id}`, target: "_blank" }, name(card.name)),
        ),
        el(
          "p",
          { class: "badges" },
          badge(card.segment),
          el("span", { class: "badge" }, texts.languages[card.language] ?? card.language),
          card.preferred_channel
            ? el(
                "span",
                { class: "badge" },
                `${texts.prefers} ${texts.channel[card.preferred_channel]}`,
              )
            : null,
        ),
      ),
    ),
    card.notes ? el("p", { class: "free-text customer-notes", dir: "auto" }, card.notes) : null,
    facts(card),
    storyIsThere ? null : history(card.interactions),
  );
}

function facts(card) {
  const line = (title, detail, value, ltr = false) =>
    el(
      "div",
      {},
      el("dt", {}, title, detail ? el("span", { class: "muted" }, " ", name(detail)) : null),
      el("dd", ltr ? { dir: "ltr" } : {}, typeof value === "string" ? name(value) : value),
    );
  const number = (way) =>
    el(
      "button",
      { type: "button", class: "to-dial", "data-dial": way.value },
      icon("phone", texts.call_number),
      name(way.shown ?? way.value),
    );
  return el(
    "dl",
    { class: "facts-row" },
    ...card.cards.map((one) =>
      line(texts.member_card, one.number.replace(/(.{4})(?=.)/g, "$1\u202f"), `${shownPoints(one.points_hundredths)} ${texts.points}`),
    ),
    ...card.contact_points.map((way) =>
      line(
        texts.contact[way.kind] ?? way.kind,
        way.label,
        way.kind === "phone" ? number(way) : (way.shown ?? way.value),
        true,
      ),
    ),
    card.last_agent ? line(texts.last_served_by, "", card.last_agent) : null,
  );
}

function history(lines) {
  if (lines.length === 0) return el("p", { class: "empty-line" }, texts.no_history);
  return el("ol", { class: "history" }, ...lines.map(past));
}

function past(line) {
  const channel = texts.channel[line.channel] ?? line.channel;
  const about = [
    texts.direction[line.direction] ?? line.direction,
    texts.queues[line.queue] ?? line.queue,
  ].filter(Boolean);
  return el(
    "li",
    { class: "past" },
    el(
      "span",
      { class: "past-channel", "data-channel": line.channel },
      icon(line.channel, channel),
    ),
    el(
      "div",
      { class: "past-body" },
      el(
        "p",
        { class: "past-head" },
        el("strong", { dir: "auto" }, line.summary || channel),
        line.disposition
          ? el("span", { class: "badge" }, texts.dispositions[line.disposition] ?? line.disposition)
          : null,
        el("time", { datetime: line.opened_at }, moment(line.opened_at)),
      ),
      el(
        "p",
        { class: "muted" },
        about.join(" · "),
        line.agent ? " · " : "",
        line.agent ? name(line.agent) : "",
        line.keyed.length ? ` · ${texts.keyed} ` : "",
        line.keyed.length ? name(line.keyed.join(" ")) : "",
      ),
      line.note ? el("p", { class: "free-text", dir: "auto" }, line.note) : null,
    ),
  );
}

/** Several people share the number: ask which one it is. */
export function choice(pop, call) {
  const problem = el("p", { class: "notice notice-bad", role: "alert", hidden: true });
  const choose = async (card) => {
    try {
      await post("/api/call/customer", { pbx: call.pbx, call: call.call, customer_id: card.id });
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
    }
  };
  return el(
    "div",
    { class: "choice" },
    el("h2", {}, texts.several),
    problem,
    el(
      "ul",
      { class: "people" },
      ...pop.matches.map((card) =>
        el(
          "li",
          {},
          el(
            "button",
            { type: "button", class: "person", onclick: () => choose(card) },
            avatar(card),
            el("span", { class: "person-name" }, name(card.name)),
            badge(card.segment),
            el(
              "span",
              { class: "person-detail" },
              card.interactions.length
                ? moment(card.interactions[0].opened_at)
                : texts.no_history_short,
            ),
            el(
              "span",
              { class: "person-language" },
              texts.languages[card.language] ?? card.language,
            ),
          ),
        ),
      ),
    ),
  );
}

/** Nobody has this number: a form with what is known of the caller. */
export function newCustomer(pop, call) {
  const form = document
    .getElementById("new-customer")
    .content.cloneNode(true)
    .querySelector("form");
  form.elements.phone.value = pop.shown_number;
  form.elements.language.value = pop.language_guess;
  // A caller's name is a stranger's word: offered, never more.
  form.elements.name.value = /[\p{L}]/u.test(pop.caller_name) ? pop.caller_name : "";
  const problem = form.querySelector("[data-form-error]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form));
    delete fields.csrf_token;
    problem.hidden = true;
    try {
      await post("/api/customers", { ...fields, pbx: call.pbx, call: call.call });
    } catch (error) {
      problem.textContent = error instanceof Refused ? error.message : texts.try_again;
      problem.hidden = false;
      const field = error.field ? form.elements[error.field] : null;
      field?.setAttribute("aria-invalid", "true");
      field?.focus();
    }
  });
  return el(
    "div",
    { class: "new-customer" },
    el(
      "header",
      { class: "customer-head" },
      el("span", { class: "avatar avatar-large", "aria-hidden": "true" }, icon("person")),
      el(
        "div",
        {},
        el("h2", {}, texts.new_customer),
        el("p", { class: "muted" }, pop.number ? texts.nobody_has_number : texts.withheld_hint),
      ),
    ),
    form,
  );
}
