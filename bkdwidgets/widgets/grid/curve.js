/** One rate over the last axis of a grid, a line for each value of the first, and a line that says where you are. */

import { s } from "../shared/dom.js";

const LETTER_WIDTH = 6.2;
const LABEL_GAP = 12.5;

/** Move labels apart that would stand on each other. @param {number[]} wanted heights, rising @param {number} lowest @returns {number[]} */
export function spreadLabels(wanted, lowest) {
  const placed = [];
  for (const y of wanted) placed.push(Math.max(y, (placed.at(-1) ?? -Infinity) + LABEL_GAP));
  for (let i = placed.length - 1; i >= 0; i -= 1) placed[i] = Math.min(placed[i], lowest - (placed.length - 1 - i) * LABEL_GAP);
  return placed;
}

/**
 * @param {{axis: string, values: Array<string | number>, lines: Array<{name: string, rates: Array<Rate | null>}>, chosen: number, here: number,
 *          color: string, levels: Array<{name: string, value: number, dotted: boolean}>, words: string, choose: (line: number, place: number) => void}} what
 *   `chosen` is the line and `here` the place on it; `levels` are drawn across
 */
export function gridCurve({ axis, values, lines, chosen, here, color, levels, words, choose }) {
  const named = lines.length > 1 ? Math.min(90, 10 + LETTER_WIDTH * Math.max(...lines.map(({ name }) => name.length))) : 10;
  const size = { left: 34, right: named, top: 24, bottom: 32, width: 340, height: 248 };
  const inner = size.width - size.left - size.right - 12;
  const x = (/** @type {number} */ place) => size.left + 6 + (place / Math.max(1, values.length - 1)) * inner;
  const y = (/** @type {number} */ share) => size.top + (1 - Math.min(1, Math.max(0, share))) * (size.height - size.top - size.bottom);
  const end = size.width - size.right;
  const text = (/** @type {number} */ px, /** @type {number} */ py, /** @type {string} */ label, /** @type {string} */ anchor, /** @type {string} */ name = "bkd-heat-label") =>
    s("text", { x: px, y: py, "text-anchor": anchor, class: name }, label);
  const drawing = s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, class: "bkd-curve bkd-grid-curve", role: "img", "aria-label": words, "data-color": color });
  for (const share of [0, 0.5, 1]) drawing.append(s("line", { x1: size.left, x2: end, y1: y(share), y2: y(share), class: "bkd-grid-line" }), text(size.left - 6, y(share) + 4, String(share), "end"));
  const every = Math.ceil(values.length / Math.floor(inner / (4 + LETTER_WIDTH * Math.max(2, ...values.map((value) => String(value).length)))));
  values.forEach((value, place) => { if (place % every === 0) drawing.append(text(x(place), size.height - 16, String(value), "middle")); });
  drawing.append(text(end, size.height - 2, axis, "end"), s("line", { x1: x(here), x2: x(here), y1: size.top - 18, y2: y(0), class: "bkd-here" }));
  for (const { value, dotted } of levels) drawing.append(s("line", { x1: size.left, x2: end, y1: y(value), y2: y(value), class: "bkd-level", "data-dotted": dotted }));
  for (const at of [...lines.keys()].sort((one, other) => Number(one === chosen) - Number(other === chosen))) {
    drawing.append(curveLine(lines[at].rates, { x, y, chosen: at === chosen, here }));
  }
  drawing.append(lineNames(lines, chosen, { x, y, end, lowest: size.height - size.bottom, text }));
  drawing.append(here > values.length / 2 ? text(x(here) - 5, size.top - 10, "you are here", "end", "bkd-here-words") : text(x(here) + 5, size.top - 10, "you are here", "start", "bkd-here-words"));
  drawing.addEventListener("click", (/** @type {any} */ event) => {
    const box = drawing.getBoundingClientRect();
    const [px, py] = [((event.clientX - box.left) / box.width) * size.width, ((event.clientY - box.top) / box.height) * size.height];
    const nearest = lines.flatMap(({ rates }, line) => rates.map((rate, place) => ({ line, place, far: rate ? Math.hypot(2 * (x(place) - px), y(rate.value) - py) : Infinity })))
      .reduce((best, one) => (one.far < best.far ? one : best));
    if (nearest.far < Infinity) choose(nearest.line, nearest.place);
  });
  return drawing;
}

/** One line with its intervals. @param {Array<Rate | null>} rates @param {{x: (place: number) => number, y: (share: number) => number, chosen: boolean, here: number}} how */
function curveLine(rates, { x, y, chosen, here }) {
  const known = rates.flatMap((rate, place) => (rate ? [{ place, ...rate }] : []));
  const path = (/** @type {Array<[number, number]>} */ points) => points.map(([place, share], index) => `${index ? "L" : "M"}${x(place).toFixed(1)} ${y(share).toFixed(1)}`).join("");
  const group = s("g", { class: "bkd-grid-path", "data-chosen": chosen },
    s("path", { d: `${path([...known.map(({ place, low }) => /** @type {[number, number]} */ ([place, low])), ...known.map(({ place, high }) => /** @type {[number, number]} */ ([place, high])).reverse()])}Z`, class: "bkd-range" }),
    s("path", { d: path(known.map(({ place, value }) => [place, value])), class: "bkd-line" }));
  for (const { place, value, low, high } of known) {
    const r = chosen && place === here ? 5 : chosen ? 2.4 : 1.6;
    if (chosen) group.append(s("line", { x1: x(place), x2: x(place), y1: y(low), y2: y(high), class: "bkd-range-bar" }));
    group.append(s("rect", { x: x(place) - r, y: y(value) - r, width: 2 * r, height: 2 * r, class: "bkd-point" }));
  }
  return group;
}

/** The lines' names at their right ends. @param {any[]} lines @param {number} chosen @param {any} how */
function lineNames(lines, chosen, { y, end, lowest, text }) {
  if (lines.length < 2) return s("g");
  const ends = lines.map(({ name, rates }, at) => ({ name, at, y: y((rates.findLast((/** @type {any} */ rate) => rate) ?? { value: 0 }).value) })).sort((one, other) => one.y - other.y);
  const placed = spreadLabels(ends.map((one) => one.y), lowest);
  return s("g", {}, ...ends.map(({ name, at }, index) => text(end + 4, placed[index] + 4, name, "start", at === chosen ? "bkd-heat-label bkd-line-chosen" : "bkd-heat-label")));
}
