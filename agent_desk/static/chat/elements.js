// Elements, made without any HTML text: nothing that anybody wrote is ever parsed. Works under a
// policy that forbids inline styles, since the sheet is adopted and not written.

const SVG = "http://www.w3.org/2000/svg";

const PICTURES = {
  chat: "M4 5h16v11H9l-5 4z",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  send: "M4 12l16-8-6 16-3-7z",
  clip: "M8 12l6-6a3 3 0 0 1 5 4l-8 8a5 5 0 0 1-7-7l7-7",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  check: "M5 12l5 5 9-11",
  file: "M7 3h7l5 5v13H7zM14 3v5h5",
};

function make(kind, properties, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function picture(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "picture picture-" + name);
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PICTURES[name]);
  svg.append(path);
  return svg;
}

// The text with its web addresses as links; only http and https become any.
function withLinks(text) {
  const found = [];
  let rest = 0;
  for (const match of text.matchAll(/https?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}。，；！？）]/gi)) {
    let address;
    try {
      address = new URL(match[0]);
    } catch {
      continue;
    }
    found.push(text.slice(rest, match.index));
    found.push(
      make(
        "a",
        { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow" },
        match[0],
      ),
    );
    rest = match.index + match[0].length;
  }
  found.push(text.slice(rest));
  return found;
}

function filled(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? values[name] : whole));
}

function shownSize(bytes, language) {
  const [number, unit] = bytes < 1e6 ? [bytes / 1e3, "kilobyte"] : [bytes / 1e6, "megabyte"];
  const form = { style: "unit", unit, maximumFractionDigits: number < 10 ? 1 : 0 };
  return new Intl.NumberFormat(language, form).format(number);
}

function shownMinutes(seconds, words) {
  const minutes = Math.max(1, Math.ceil(seconds / 60));
  return minutes === 1 ? words.one_minute : filled(words.minutes, { count: minutes });
}
