// A phone menu as a picture: what follows by itself stands below, what a key chooses stands beside,
// with the key on its way. A way back to what stands elsewhere is named instead of drawn.

import { svg } from "./elements.js";

// Four columns fit into the page where it is widest.
const WIDTH = 154;
const HEIGHT = 36;
const BESIDE = 64;
const BEHIND = 28;
const BELOW = 16;
const LETTERS = 22;

function short(text) {
  const letters = [...text];
  // Letters of a Chinese text are twice as wide.
  const most = /[\u2e80-\uffef]/.test(text) ? Math.floor(LETTERS / 2) : LETTERS;
  if (letters.length <= most) return text;
  // What tells two of a kind apart stands at the end.
  const end = text.match(/: [^:]{1,8}$/)?.[0] ?? "";
  return `${letters.slice(0, most - 1 - end.length).join("").trimEnd()}…${end}`;
}

/**
 * The picture of `nodes`, which hangs from the first. `ways(node)` are {label, to}; `titleOf(node)`
 * names one, `choose(id)` is told of a click.
 */
export function menuPicture(nodes, { chosen, wrong, ways, titleOf, choose, label }) {
  const { boxes, lines, columns, rows } = placed(nodes, ways);
  const width = columns * (WIDTH + BESIDE) - BESIDE + BEHIND;
  const height = rows * (HEIGHT + BELOW);
  const rtl = document.documentElement.dir === "rtl";
  const x = (column) => (rtl ? width - column * (WIDTH + BESIDE) - WIDTH - 4 : column * (WIDTH + BESIDE)) + 2;
  const y = (row) => row * (HEIGHT + BELOW) + 4;
  const onward = rtl ? -1 : 1;
  const side = (column, far) => x(column) + (far === rtl ? 0 : WIDTH);

  const drawnLines = lines.flatMap(({ from, to, label: said }) => {
    if (from.column === to.column) {
      const middle = x(from.column) + WIDTH / 2;
      const way = svg("path", { class: "flow-way", d: `M${middle} ${y(from.row) + HEIGHT} V${y(to.row)}` });
      return said ? [way, key(said, middle + 8, y(to.row) - 4, "start")] : [way];
    }
    const start = side(from.column, true);
    const end = side(to.column, false);
    const [y1, y2] = [y(from.row) + HEIGHT / 2, y(to.row) + HEIGHT / 2];
    const bend = start + onward * 16;
    const way = svg("path", { class: "flow-way", d: `M${start} ${y1} H${bend} V${y2} H${end}` });
    // Between the boxes there is room for a key; words stand above them.
    const above = said?.length > 4 ? y(to.row) - 4 : y2 - 5;
    return said ? [way, key(said, (bend + end) / 2, above, "middle")] : [way];
  });
  const drawnBoxes = boxes.map(({ node, column, row, back, returns }) => {
    const kinds = [
      "flow-step",
      !back && node.id === chosen && "flow-chosen",
      !back && wrong.has(node.id) && "flow-wrong",
      back && "flow-back",
    ];
    const title = back ? `↩ ${titleOf(node)}` : titleOf(node);
    const after = returns ? ` ↩ ${titleOf(returns)}` : "";
    const box = svg(
      "g",
      { class: kinds.filter(Boolean).join(" "), ...(back ? {} : { "data-node": node.id }) },
      svg("title", {}, titleOf(node) + after),
      svg("rect", { x: x(column), y: y(row), width: WIDTH, height: HEIGHT, rx: 8 }),
      svg("text", { x: x(column) + WIDTH / 2, y: y(row) + HEIGHT / 2 + 4.5, "text-anchor": "middle" }, short(title)),
      ...(returns
        ? [svg("text", { class: "flow-answer", x: side(column, true) + onward * 12, y: y(row) + HEIGHT / 2 + 4.5, "text-anchor": "middle" }, "↩")]
        : []),
    );
    box.addEventListener("click", () => choose(node.id));
    return box;
  });
  return svg(
    "svg",
    { class: "flow", viewBox: `0 0 ${width} ${height + 8}`, width, height: height + 8, role: "img", "aria-label": label },
    ...drawnLines,
    ...drawnBoxes,
  );
}

const key = (said, x, y, anchor) =>
  svg("text", { class: "flow-answer", x, y, "text-anchor": anchor }, short(said));

/** Where each node stands, in columns and rows, and the ways between them. */
function placed(nodes, ways) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const seen = new Set();
  const boxes = [];
  const lines = [];
  let columns = 1;

  /** The first row that is free below the node and all that hangs from it. */
  function put(node, column, row) {
    seen.add(node.id);
    columns = Math.max(columns, column + 1);
    const box = { node, column, row, back: false, returns: null };
    boxes.push(box);
    const out = ways(node).filter(({ to }) => byId.has(to));
    if (out.length === 1 && !seen.has(out[0].to)) {
      lines.push({ from: box, to: { column, row: row + 1 }, label: out[0].label });
      return put(byId.get(out[0].to), column, row + 1);
    }
    if (out.length === 1) {
      box.returns = byId.get(out[0].to);
      return row + 1;
    }
    let free = row;
    for (const { label, to } of out) {
      lines.push({ from: box, to: { column: column + 1, row: free }, label });
      if (seen.has(to)) {
        boxes.push({ node: byId.get(to), column: column + 1, row: free, back: true });
        columns = Math.max(columns, column + 2);
        free += 1;
      } else free = put(byId.get(to), column + 1, free);
    }
    return Math.max(row + 1, free);
  }

  let rows = 0;
  // What nothing leads to stands below, so that it is seen.
  for (const node of nodes) if (!seen.has(node.id)) rows = put(node, 0, rows);
  return { boxes, lines, columns, rows };
}
