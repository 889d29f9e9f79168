// An article's body: elements from the tree that the server made of its Markdown. Only these tags,
// only these addresses; text is only ever text.

import { el } from "./elements.js";

const TAGS = new Set(
  "h3 h4 h5 p ul ol li strong em code pre blockquote hr br a table thead tbody tr th td".split(" "),
);
const ADDRESSES = /^(https?:|mailto:|tel:)/i;

export function articleBody(nodes) {
  return nodes.map((node) => {
    if (typeof node === "string") return document.createTextNode(node);
    const children = articleBody(node.children);
    if (!TAGS.has(node.tag)) return el("span", {}, children);
    if (node.tag === "table") {
      return el("div", { class: "article-table" }, el("table", {}, children));
    }
    if (node.tag !== "a") return el(node.tag, {}, children);
    if (!ADDRESSES.test(node.href)) return el("span", {}, children);
    if (node.href.toLowerCase().startsWith("tel:")) {
      return el("a", { href: "#", "data-dial": decodeURIComponent(node.href.slice(4)) }, children);
    }
    return el("a", { href: node.href, target: "_blank", rel: "noopener noreferrer" }, children);
  });
}
