// One message: who wrote what, when, on which channel; its files; what became of it. A stranger's HTML
// is never put into the page: it stands in a frame that runs nothing.

import { el, icon, name, put, texts } from "./elements.js";
import { ahead, exactMoment, filled, hourOf, iso, words } from "./inbox_words.js";
import { serverNow } from "./moments.js";

const PREVIEWED = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const LONGEST_FRAME = 20_000;

export function messageEntry(one, line) {
  const body = el("div", { class: "message-body" }, ...bodyOf(one, line));
  return el(
    "article",
    {
      class: "message",
      "data-message": one.id,
      "data-direction": one.direction,
      "data-channel": one.channel,
      "aria-label": filled(words.message_of, { who: senderOf(one), time: exactMoment(one.at) }),
    },
    head(one),
    body,
    files(one, line),
    foot(one, line),
  );
}

function senderOf(one) {
  if (one.author === "system") return words.by_rule;
  return one.author_name || one.author || one.sender_name || one.shown_sender || words.unknown;
}

function head(one) {
  const isNote = one.direction === "internal";
  return el(
    "header",
    { class: "message-head" },
    icon(isNote ? "note" : one.channel, isNote ? words.note : texts.channel[one.channel]),
    el("strong", {}, name(senderOf(one))),
    one.sender_name && !one.author ? el("bdi", { class: "muted", dir: "ltr" }, one.shown_sender) : null,
    isNote ? el("span", { class: "badge" }, words.note) : null,
    one.automatic ? el("span", { class: "badge" }, words.automatic[one.automatic] ?? one.automatic) : null,
    one.is_authenticated === false ? el("span", { class: "badge badge-doubt", title: words.not_proven_hint }, words.not_proven) : null,
    el("time", { datetime: iso(one.at), title: exactMoment(one.at) }, hourOf(one.at)),
  );
}

function bodyOf(one, line) {
  const parts = [];
  const isAbout = (text) => text.replace(/^((re|aw|fwd?|sv|回复|答复|转发|پاسخ)\s*[:：]\s*)+/i, "").trim();
  if (one.subject && isAbout(one.subject) !== isAbout(line.subject) && one.direction !== "internal") {
    parts.push(el("p", { class: "message-subject", dir: "auto" }, one.subject));
  }
  if (one.text) parts.push(el("p", { class: "free-text", dir: "auto", "data-text": "" }, ...linked(one.text, one.mentions)));
  if (one.has_html) parts.push(letter(one, line, one.text === ""));
  if (one.quoted) {
    parts.push(
      el(
        "details",
        { class: "message-quoted" },
        el("summary", {}, words.quoted),
        el("p", { class: "free-text muted", dir: "auto" }, one.quoted),
      ),
    );
  }
  if (one.problems.length) {
    parts.push(
      el(
        "details",
        { class: "message-problems" },
        el("summary", {}, words.problems),
        el("ul", {}, ...one.problems.map((text) => el("li", { dir: "auto" }, text))),
      ),
    );
  }
  if (parts.length === 0) parts.push(el("p", { class: "muted" }, words.empty_message));
  return parts;
}

/** Colleagues who are named in a note stand out. */
function linked(text, mentions) {
  if (!mentions.length) return [text];
  const named = new RegExp(`(@(?:${mentions.map((login) => RegExp.escape?.(login) ?? login.replace(/[^\w-]/g, "\\$&")).join("|")}))(?![\\w-])`, "g");
  return text.split(named).map((part) => (part.startsWith("@") && mentions.includes(part.slice(1)) ? el("mark", { class: "mention" }, part) : part));
}

/** The letter as its writer laid it out, without its remote pictures until they are asked for. */
function letter(one, line, open) {
  const address = `/inbox/conversations/${line.id}/messages/${one.id}/letter`;
  const place = el("div", { class: "letter" });
  const showIt = (pictures) => {
    const frame = el("iframe", {
      class: "letter-frame",
      title: words.letter,
      // No allow-scripts: nothing in it runs. Its own origin lets the page measure how high it is.
      sandbox: "allow-same-origin allow-popups allow-popups-to-escape-sandbox",
      referrerpolicy: "no-referrer",
      src: pictures ? `${address}?pictures=1` : address,
    });
    const fit = () => {
      const height = frame.contentDocument?.documentElement?.scrollHeight ?? 0;
      if (height) frame.style.blockSize = `${Math.min(LONGEST_FRAME, height + 4)}px`;
    };
    frame.addEventListener("load", () => {
      fit();
      const body = frame.contentDocument?.body;
      if (body) new ResizeObserver(fit).observe(body);
    });
    place.replaceChildren(
      ...(one.has_remote_pictures && !pictures
        ? [
            el(
              "p",
              { class: "notice letter-blocked" },
              el("span", {}, words.pictures_blocked),
              el("button", { type: "button", class: "button button-small", onclick: () => showIt(true) }, words.show_pictures),
            ),
          ]
        : []),
      frame,
    );
  };
  const details = el("details", { class: "letter-fold", open }, el("summary", {}, words.letter), place);
  const begin = () => details.open && place.children.length === 0 && showIt(false);
  details.addEventListener("toggle", begin);
  if (open) begin();
  return details;
}

const SIZES = ["kilobyte", "megabyte"];

export function shownSize(bytes) {
  const big = bytes >= 1_000_000;
  return new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit: SIZES[big ? 1 : 0],
    maximumFractionDigits: big ? 1 : 0,
  }).format(big ? bytes / 1_000_000 : Math.max(1, bytes / 1000));
}

function files(one, line) {
  const shown = one.attachments.filter((file) => !(file.content_id && one.has_html && file.state === "ok"));
  if (shown.length === 0) return null;
  return el("ul", { class: "message-files" }, ...shown.map((file) => fileLine(file, line)));
}

function fileLine(file, line) {
  const address = `/inbox/conversations/${line.id}/attachments/${file.id}`;
  if (file.state !== "ok") {
    return el(
      "li",
      { class: "message-file", "data-refused": "" },
      el("span", { dir: "auto" }, name(file.name)),
      el("span", { class: "muted" }, words.refused_file[file.reason] ?? words.refused_file.other),
    );
  }
  const isPicture = PREVIEWED.includes(file.media_type);
  const isPdf = file.media_type === "application/pdf";
  return el(
    "li",
    { class: "message-file" },
    isPicture
      ? el(
          "button",
          { type: "button", class: "file-picture", "aria-label": filled(words.enlarge, { name: file.name }), onclick: () => preview(file, address) },
          el("img", { src: `${address}?shown=1`, alt: "", loading: "lazy" }),
        )
      : icon("page"),
    el(
      "span",
      { class: "file-name" },
      el("a", { href: address, download: file.name, dir: "auto" }, name(file.name)),
      el("span", { class: "muted" }, shownSize(file.size)),
    ),
    isPdf
      ? el("button", { type: "button", class: "button button-small", onclick: () => preview(file, address) }, words.preview)
      : null,
  );
}

function preview(file, address) {
  const dialog = document.getElementById("file-preview");
  put(dialog.querySelector("h2"), file.name);
  const shown = PREVIEWED.includes(file.media_type)
    ? el("img", { src: `${address}?shown=1`, alt: file.name })
    : el("iframe", { src: `${address}?shown=1`, title: file.name, class: "preview-frame" });
  dialog.querySelector("[data-preview]").replaceChildren(shown);
  dialog.showModal();
  dialog.addEventListener("close", () => shown.remove(), { once: true });
}

function foot(one, line) {
  const delivery = one.delivery && deliveryOf(one.delivery, one);
  const acts = [
    one.has_raw
      ? el("a", { class: "message-raw", href: `/inbox/conversations/${line.id}/messages/${one.id}/raw`, download: `${one.id}.eml` }, words.raw)
      : null,
    one.direction === "inbound" && one.text
      ? el("button", { type: "button", class: "message-raw", "data-do": "quote" }, words.quote)
      : null,
  ].filter(Boolean);
  if (!delivery && acts.length === 0) return null;
  return el("footer", { class: "message-foot" }, ...(delivery ?? []), ...acts);
}

/** What became of a message of ours, with what can still be done about it. */
function deliveryOf(delivery, one) {
  const button = (what, title) =>
    el("button", { type: "button", class: "button button-small", "data-do": what }, title);
  const isHeld = delivery.state === "waiting" && delivery.error === "" && delivery.due_at > serverNow();
  const said = isHeld
    ? words.goes_soon
    : delivery.state === "waiting" && delivery.due_at > serverNow() + 60
      ? filled(words.goes_at, { time: ahead(delivery.due_at) })
      : words.delivery[delivery.state];
  const badge = el("span", { class: "badge", "data-delivery": delivery.state, title: delivery.error ?? "" }, said);
  return [
    badge,
    delivery.error && ["failed", "uncertain"].includes(delivery.state)
      ? el("span", { class: "message-why", dir: "auto" }, delivery.error)
      : null,
    delivery.segments > 1 ? el("span", { class: "muted" }, filled(words.segments, { count: delivery.segments })) : null,
    isHeld && one.author === texts.me ? button("take-back", words.take_back) : null,
    ["failed", "uncertain"].includes(delivery.state) ? button("send-again", words.send_again) : null,
  ].filter(Boolean);
}
