// Making and filling elements. Text only ever becomes text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";
const pictures = new URL("icons.svg", import.meta.url).href;

/** An element with attributes ("on…" are listeners, true and false set and leave out) and children. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An element of a picture. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A stranger's text, kept apart from the direction of the text around it. */
export function name(text) {
  return el("bdi", {}, text);
}

/** Pictures that point along the line of reading, and so are mirrored with it. */
const ALONG = new Set(["back", "onward", "leave"]);

export function icon(id, label = "") {
  const picture = document.createElementNS(SVG, "svg");
  picture.setAttribute("class", ALONG.has(id) ? "icon along" : "icon");
  if (label) {
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", label);
  } else picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${pictures}#${id}`);
  picture.append(use);
  return picture;
}

/** Rebuild `place` only when what it shows has changed, so that focus and forms stay. */
export function show(place, content, build) {
  const signature = JSON.stringify(content);
  if (place.dataset.shown === signature) return false;
  place.dataset.shown = signature;
  place.replaceChildren(...[build()].flat());
  return true;
}

/** Change the text only when it is another one, so that nothing is laid out for nothing. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * `draw`, at most once a picture however often it is asked for. A page that nobody sees has no
 * pictures, but still a title and a voice: there it is drawn a moment later.
 */
export function atNextPicture(draw) {
  let asked = false;
  const now = () => {
    asked = false;
    draw();
  };
  return () => {
    if (asked) return;
    asked = true;
    if (document.hidden) setTimeout(now);
    else requestAnimationFrame(now);
  };
}

function given(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "{}");
}

/** Texts and lists that the server gave this page. */
export const texts = given("texts");

/** The texts of one panel: `<script type="application/json" id="texts-NAME">` in its partial. */
export const textsOf = (panel) => given(`texts-${panel}`);
