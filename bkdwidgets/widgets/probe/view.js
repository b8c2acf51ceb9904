/**
 * The probe view: how well a probe tells triggered from clean at each layer, beside what it reads off a model
 * that was never backdoored, and how well the probe of one layer works on another.
 */

import { fixed, h, s, signed } from "../shared/dom.js";
import { footnotes, openLab, topLine } from "../shared/lab_shell.js";
import { wilson } from "../shared/rates.js";

/** Lines of the curve, each with its color, dash and mark. */
const PROBED = [
  { key: "accuracy", color: "triggered", dash: "", mark: "■" },
  { key: "control", color: "clean", dash: "", mark: "●" },
  { key: "shuffled", color: "control", dash: "1 4", mark: "┈" },
  { key: "unrelated", color: "control", dash: "6 4", mark: "╌" },
  { key: "other", color: "control", dash: "9 3 2 3", mark: "─" },
];

/** "0.98 [0.93, 0.99]" @param {Rate} rate @param {boolean} [sign] */
export const withInterval = ({ value, low, high }, sign = false) => {
  const say = (/** @type {number} */ number) => (sign ? signed(number, 2) : fixed(number));
  return `${say(value)} [${say(low)}, ${say(high)}]`;
};

/** What is known of a layer, in words. @param {any} values @param {number} layer @param {string} name */
export function layerWords(values, layer, name) {
  const parts = [`Layer ${layer}: ${name} ${withInterval(values.accuracy[layer])}, clean model ${withInterval(values.control[layer])}`];
  if (values.difference) parts.push(`difference ${withInterval(values.difference[layer], true)}`);
  parts.push(`n = ${values.accuracy[layer].n}`);
  const others = PROBED.slice(2).filter(({ key }) => values[key]).map(({ key }) => `${values.names[key]} ${fixed(values[key][layer].value)}`);
  return `${parts.join("; ")}.${others.length ? ` Controls: ${others.join(", ")}.` : ""}`;
}

/**
 * Accuracy over layers with its intervals. It is a slider for the keyboard: the arrow keys walk the layers.
 * @param {{values: any, name: string, here: number, wide: number, move: (layer: number) => void}} what `wide`: room for it, in px
 */
function probeCurve({ values, name, here, wide, move }) {
  const size = { left: 34, right: 10, top: 10, bottom: 30, width: Math.min(700, Math.max(280, wide)), height: 270 };
  const count = values.accuracy.length;
  const x = (/** @type {number} */ layer) => size.left + 8 + (layer / Math.max(1, count - 1)) * (size.width - size.left - size.right - 16);
  const y = (/** @type {number} */ share) => size.top + (1 - share) * (size.height - size.top - size.bottom);
  const label = (/** @type {number} */ px, /** @type {number} */ py, /** @type {string} */ words, /** @type {string} */ anchor) => s("text", { x: px, y: py, "text-anchor": anchor, class: "bkd-heat-label" }, words);
  const drawing = s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, class: "bkd-probe-curve", role: "slider", tabindex: 0,
    "aria-label": "layer", "aria-valuemin": 0, "aria-valuemax": count - 1, "aria-valuenow": here, "aria-valuetext": layerWords(values, here, name) });
  for (const share of [0, 0.5, 1]) drawing.append(s("line", { x1: size.left, x2: size.width - size.right, y1: y(share), y2: y(share), class: "bkd-grid-line" }), label(size.left - 6, y(share) + 4, share === 0.5 ? "0.5" : String(share), "end"));
  const every = Math.ceil(count / (size.width / 50));
  for (let layer = 0; layer < count; layer += every) drawing.append(label(x(layer), size.height - 12, String(layer), "middle"));
  drawing.append(label(size.width - size.right, size.height, "layer", "end"));
  drawing.append(s("line", { x1: x(here), x2: x(here), y1: size.top, y2: y(0), class: "bkd-here" }));
  for (const { key, color, dash } of [...PROBED].reverse()) {
    if (!values[key]) continue;
    const rates = /** @type {Rate[]} */ (values[key]);
    drawing.append(s("path", { d: rates.map(({ value }, layer) => `${layer ? "L" : "M"}${x(layer).toFixed(1)} ${y(value).toFixed(1)}`).join(""), class: "bkd-probe-line", "data-color": color, "stroke-dasharray": dash || null }));
    if (color === "control") continue;
    rates.forEach(({ value, low, high }, layer) => {
      const off = key === "accuracy" ? 1.6 : -1.6;
      drawing.append(s("line", { x1: x(layer) + off, x2: x(layer) + off, y1: y(low), y2: y(high), class: "bkd-probe-bar", "data-color": color }));
      drawing.append(key === "accuracy" ? s("rect", { x: x(layer) - 3, y: y(value) - 3, width: 6, height: 6, class: "bkd-probe-point", "data-color": color }) : s("circle", { cx: x(layer), cy: y(value), r: 3.2, class: "bkd-probe-point", "data-color": color }));
    });
  }
  drawing.addEventListener("pointermove", (/** @type {any} */ event) => {
    const box = drawing.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width * size.width - size.left - 8) / (size.width - size.left - size.right - 16);
    const layer = Math.min(count - 1, Math.max(0, Math.round(at * (count - 1))));
    if (layer !== here) move(layer);
  });
  drawing.addEventListener("keydown", (/** @type {any} */ event) => {
    const to = { ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1, Home: 0, End: count - 1, PageDown: here - 5, PageUp: here + 5 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    move(Math.min(count - 1, Math.max(0, to)));
  });
  return drawing;
}

/**
 * The ILCA matrix: trained on a layer (down), tested on a layer (across). Chance has the color of the paper.
 * @param {number[][]} matrix @param {number} n states behind each cell @param {string} name
 */
function ilcaMatrix(matrix, n, name) {
  const count = matrix.length;
  const [left, top, cell] = [26, 18, 300 / count];
  const words = h("p", { class: "bkd-heat-words", "aria-hidden": "true" });
  const cellWords = (/** @type {number} */ i, /** @type {number} */ j) => {
    const rate = wilson(Math.round(matrix[i][j] * n), n);
    return `trained on layer ${i}, tested on layer ${j}: ${rate ? withInterval(rate) : fixed(matrix[i][j])}, n = ${n}`;
  };
  const tell = (/** @type {number} */ i, /** @type {number} */ j) => words.replaceChildren(cellWords(i, j).replace(/^t/, "T"));
  const grid = s("g", { role: "grid", "aria-label": `ILCA of ${name}: rows are the layer a probe is trained on, columns the layer it is tested on` });
  /** @type {Element[][]} */
  const cells = matrix.map((row, i) => {
    const line = s("g", { role: "row" });
    grid.append(line);
    return row.map((value, j) => {
      const share = Math.round(2000 * Math.abs(value - 0.5)) / 10;
      const rect = s("rect", { x: left + j * cell + 0.3, y: top + i * cell + 0.3, width: cell - 0.6, height: cell - 0.6, class: "bkd-ilca-cell",
        role: "gridcell", tabindex: i + j ? -1 : 0, "aria-label": cellWords(i, j), pointerenter: () => tell(i, j), focus: () => tell(i, j), click: () => focusOn(i, j) });
      /** @type {SVGElement} */ (rect).style.fill = `color-mix(in oklab, var(--bkd-${value < 0.5 ? "control" : "triggered"}) ${share}%, var(--bkd-effect-zero))`;
      line.append(rect);
      return rect;
    });
  });
  let here = [0, 0];
  /** @param {number} i @param {number} j */
  function focusOn(i, j) {
    cells[here[0]][here[1]].setAttribute("tabindex", "-1");
    here = [Math.min(count - 1, Math.max(0, i)), Math.min(count - 1, Math.max(0, j))];
    const to = /** @type {SVGElement} */ (cells[here[0]][here[1]]);
    to.setAttribute("tabindex", "0");
    to.focus({ preventScroll: true });
  }
  grid.addEventListener("keydown", (/** @type {any} */ event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -count], End: [0, count], PageUp: [-5, 0], PageDown: [5, 0] }[event.key];
    if (!move) return;
    event.preventDefault();
    event.stopPropagation();
    focusOn(here[0] + move[0], here[1] + move[1]);
  });
  const every = Math.ceil(count / 7);
  const ticks = s("g", { "aria-hidden": "true" });
  for (let layer = 0; layer < count; layer += every) {
    const middle = (layer + 0.5) * cell;
    ticks.append(s("text", { x: left - 5, y: top + middle, "text-anchor": "end", "dominant-baseline": "middle", class: "bkd-heat-label" }, String(layer)),
      s("text", { x: left + middle, y: top - 7, "text-anchor": "middle", class: "bkd-heat-label" }, String(layer)));
  }
  words.textContent = "Point at a cell, or walk the cells with the arrow keys.";
  return h("div", {}, s("svg", { viewBox: `0 0 ${left + 302} ${top + 302}`, class: "bkd-ilca" }, ticks, grid), words);
}

/** @param {{model: any, el: HTMLElement}} context */
function renderProbe({ model, el }) {
  return openLab(model, el, (table) => {
    const top = topLine("Probe view", table);
    const aloud = h("p", { class: "bkd-hidden", role: "status" });
    const words = h("p", { class: "bkd-sentence" });
    const curve = h("div", { class: "bkd-probe" });
    const keys = h("p", { class: "bkd-keys" });
    const caption = h("p", { class: "bkd-caption" });
    const matrix = h("section", { role: "group", class: "bkd-heat-box", "aria-label": "inter-layer classification accuracy" });
    el.append(top.line, matrix, h("section", { role: "group", class: "bkd-main", "aria-label": "accuracy per layer" }, h("p", { class: "bkd-heat-title" }, h("b", {}, "Accuracy per layer"), h("span", {}, "held-out states")), curve, keys, words, caption, aloud),
      footnotes(table, "Tab to the curve and walk the layers with the arrow keys, Home and End. Tab to the matrix and walk its cells the same way."));
    const kinds = Object.keys(table.kinds);
    let layer = -1;
    let wide = 0;
    let drawn = "";
    new ResizeObserver(() => { if (curve.clientWidth !== wide) draw(); }).observe(curve); // gone with the element

    function draw() {
      const values = table.kinds[kinds[Math.min(kinds.length - 1, Math.max(0, model.get("kind_index")))]];
      if (layer < 0) layer = Math.floor(values.accuracy.length / 2);
      const clean = model.get("matrix_index") === 1;
      const n = values.accuracy[0].n;
      top.show("table", `${kinds[model.get("kind_index")] ?? kinds[0]} probe, n = ${n}`);
      matrix.replaceChildren(h("p", { class: "bkd-heat-title" }, h("b", {}, "Across layers (ILCA)"), h("span", {}, "trained ↓  tested →")),
        ilcaMatrix(clean ? values.control_ilca : values.ilca, n, clean ? values.names.control : values.names.accuracy),
        h("div", { class: "bkd-heat-scale bkd-ilca-scale" }, h("span", {}, "0"), h("i", { "aria-hidden": "true" }), h("span", {}, "1")),
        h("p", { class: "bkd-heat-note" }, `${clean ? "The clean model." : "This subject."} Paper-white is chance, 0.5.`));
      keys.replaceChildren(...PROBED.filter(({ key }) => values[key]).map(({ key, color, mark }) => h("span", { class: "bkd-key", "data-color": color }, `${mark} ${values.names[key]}`)));
      caption.textContent = `Bars are 95 % intervals over n = ${n} states (two for each prompt). The clean model was never backdoored: what a probe reads off it is the trigger's words, not the backdoor. The state of layer l is what enters block l; the last one is what the last block leaves.`;
      drawCurve(values);
      // The curve is a slider and tells its layer itself; another probe or matrix is told here, what it opens with is not.
      const shown = `${model.get("kind_index")} ${model.get("matrix_index")}`;
      if (drawn && shown !== drawn) aloud.textContent = `${kinds[model.get("kind_index")] ?? kinds[0]} probe. ${words.textContent} Matrix: ${clean ? values.names.control : values.names.accuracy}.`;
      drawn = shown;
    }

    /** @param {any} values */
    function drawCurve(values) {
      wide = curve.clientWidth;
      const held = curve.contains(document.activeElement);
      curve.replaceChildren(probeCurve({ values, name: values.names.accuracy, here: layer, wide, move: (to) => { layer = to; drawCurve(values); } }));
      if (held) /** @type {any} */ (curve.firstElementChild).focus();
      words.textContent = layerWords(values, layer, values.names.accuracy);
    }

    return { traits: ["kind_index", "matrix_index"], draw };
  });
}

export default { render: renderProbe };
