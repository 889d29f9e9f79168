// A script's steps as a picture: each below what leads to it, with the answers on the ways between.

import { svg } from "./elements.js";

const WIDTH = 150;
const HEIGHT = 44;
const BESIDE = 24;
const BELOW = 56;
const LETTERS = 18;

const short = (text) => {
  const letters = [...text];
  return letters.length > LETTERS ? `${letters.slice(0, LETTERS - 1).join("")}…` : text;
};

/** The ways out of a step: {to, label}; `answerOf(field, value)` says an answer in words. */
function ways(step, answerOf = () => "") {
  if (step.end) return [];
  const found = (step.next ?? []).map(({ when, to }) => ({ to, label: condition(when, answerOf) }));
  if (step.otherwise) found.push({ to: step.otherwise, label: found.length > 0 ? "…" : "" });
  return found;
}

function condition(when, answerOf) {
  if (when.in) return when.in.map((value) => answerOf(when.field, value)).join(", ");
  if (when.above !== undefined && when.above !== null) return `> ${when.above}`;
  if (when.below !== undefined && when.below !== null) return `< ${when.below}`;
  return answerOf(when.field, when.is ?? "");
}

/** How far each step is below the first, by the longest way; steps that nothing leads to come last. */
function layers(steps) {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const depth = new Map();
  const visit = (id, at, path) => {
    if (!byId.has(id) || path.has(id) || (depth.get(id) ?? -1) >= at) return;
    depth.set(id, at);
    path.add(id);
    for (const { to } of ways(byId.get(id))) visit(to, at + 1, path);
    path.delete(id);
  };
  if (steps.length > 0) visit(steps[0].id, 0, new Set());
  const deepest = Math.max(-1, ...depth.values());
  const rows = Array.from({ length: deepest + 1 }, () => []);
  const lost = steps.filter((step) => !depth.has(step.id));
  for (const step of steps) if (depth.has(step.id)) rows[depth.get(step.id)].push(step);
  if (lost.length > 0) rows.push(lost);
  return rows;
}

/** The picture; `titleOf(step)` names a step, `choose(id)` is told of a click. */
export function flowPicture(steps, { chosen, wrong, titleOf, answerOf, choose, label }) {
  const rows = layers(steps);
  const widest = Math.max(1, ...rows.map((row) => row.length));
  const width = widest * (WIDTH + BESIDE) + BESIDE;
  const height = rows.length * (HEIGHT + BELOW) + 8;
  const places = new Map();
  rows.forEach((row, y) => {
    const indent = (width - row.length * (WIDTH + BESIDE) + BESIDE) / 2;
    row.forEach((step, x) => {
      places.set(step.id, { x: indent + x * (WIDTH + BESIDE), y: y * (HEIGHT + BELOW) + 4 });
    });
  });
  const lines = [];
  const boxes = [];
  for (const step of steps) {
    const from = places.get(step.id);
    const out = ways(step, answerOf).filter(({ to }) => places.has(to));
    out.forEach(({ to, label: said }, place) => {
      const goal = places.get(to);
      const x1 = from.x + ((place + 1) * WIDTH) / (out.length + 1);
      const y1 = from.y + HEIGHT;
      const x2 = goal.x + WIDTH / 2;
      const y2 = goal.y;
      const bend = Math.max(24, (y2 - y1) / 2);
      lines.push(
        svg("path", { class: "flow-way", d: `M${x1} ${y1} C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}` }),
      );
      if (said) {
        lines.push(
          svg("text", { class: "flow-answer", x: x1, y: y1 + 14 + (place % 2) * 13, "text-anchor": "middle" }, short(said)),
        );
      }
    });
    const kind = [step.id === chosen && "flow-chosen", wrong.has(step.id) && "flow-wrong", step.end && "flow-end"];
    const box = svg(
      "g",
      { class: ["flow-step", ...kind.filter(Boolean)].join(" ") },
      svg("rect", { x: from.x, y: from.y, width: WIDTH, height: HEIGHT, rx: step.end ? HEIGHT / 2 : 8 }),
      svg("text", { x: from.x + WIDTH / 2, y: from.y + HEIGHT / 2 + 5, "text-anchor": "middle" }, short(titleOf(step))),
    );
    box.addEventListener("click", () => choose(step.id));
    boxes.push(box);
  }
  return svg(
    "svg",
    { class: "flow", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    ...lines,
    ...boxes,
  );
}
