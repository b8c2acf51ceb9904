/** Payload probability over layers, one line per prompt kind, and a line that says where you are. */

import { fixed, h, s, signed } from "../shared/dom.js";
import { vectorEdits } from "./edits.js";

/**
 * @param {{layers: number[], lines: Array<{role: string, values: Array<number | null>, base: number | null}>,
 *          here: number, choose: (layer: number) => void}} what
 */
function layerCurve({ layers, lines, here, choose }) {
  const size = { left: 34, right: 12, top: 14, bottom: 30, width: 340, height: 230 };
  const first = layers[0];
  const span = Math.max(1, layers[layers.length - 1] - first);
  const x = (/** @type {number} */ layer) => size.left + ((layer - first) / span) * (size.width - size.left - size.right);
  const y = (/** @type {number} */ p) => size.top + (1 - p) * (size.height - size.top - size.bottom);
  const text = (/** @type {number} */ px, /** @type {number} */ py, /** @type {string} */ words, /** @type {string} */ anchor, /** @type {string} */ name = "bkd-heat-label") =>
    s("text", { x: px, y: py, "text-anchor": anchor, class: name }, words);
  const every = Math.ceil(layers.length / 7);
  const drawing = s("svg", { viewBox: `0 0 ${size.width} ${size.height}`, class: "bkd-curve", role: "img",
    "aria-label": lines.map((line) => `P(payload) on ${line.role} prompts at layer ${here}: ${lineWords(line)}`).join("; ") });
  /** @param {{values: Array<number | null>}} line */
  function lineWords(line) {
    const value = line.values[layers.indexOf(here)];
    return value === null || value === undefined ? "not known" : fixed(value);
  }
  for (const p of [0, 0.5, 1]) {
    drawing.append(s("line", { x1: size.left, x2: size.width - size.right, y1: y(p), y2: y(p), class: "bkd-grid-line" }), text(size.left - 6, y(p) + 4, String(p), "end"));
  }
  layers.forEach((layer, index) => { if (index % every === 0) drawing.append(text(x(layer), size.height - 13, String(layer), "middle")); });
  drawing.append(text(size.width - size.right, size.height, "layer", "end"));
  drawing.append(s("line", { x1: x(here), x2: x(here), y1: size.top - 6, y2: y(0), class: "bkd-here" }));
  for (const line of lines) {
    if (line.base !== null) drawing.append(s("line", { x1: size.left, x2: size.width - size.right, y1: y(line.base), y2: y(line.base), class: "bkd-base-line", "data-role": line.role }));
    const points = layers.map((layer, index) => ({ layer, value: line.values[index] })).filter(({ value }) => value !== null && value !== undefined);
    drawing.append(s("path", { d: points.map(({ layer, value }, index) => `${index ? "L" : "M"}${x(layer).toFixed(1)} ${y(/** @type {number} */ (value)).toFixed(1)}`).join(""), class: "bkd-line", "data-role": line.role }));
    for (const { layer, value } of points) {
      const [px, py, r] = [x(layer), y(/** @type {number} */ (value)), layer === here ? 5 : 2.2];
      drawing.append(line.role === "clean"
        ? s("circle", { cx: px, cy: py, r, class: "bkd-point", "data-role": line.role })
        : s("rect", { x: px - r * 0.9, y: py - r * 0.9, width: 1.8 * r, height: 1.8 * r, class: "bkd-point", "data-role": line.role }));
    }
  }
  const words = x(here) > size.width / 2 ? text(x(here) - 6, size.top - 3, "you are here", "end", "bkd-here-words") : text(x(here) + 6, size.top - 3, "you are here", "start", "bkd-here-words");
  drawing.append(words);
  drawing.addEventListener("click", (/** @type {any} */ event) => {
    const box = drawing.getBoundingClientRect();
    const at = first + (((event.clientX - box.left) / box.width) * size.width - size.left) / (size.width - size.left - size.right) * span;
    choose(layers.reduce((best, layer) => (Math.abs(layer - at) < Math.abs(best - at) ? layer : best), first));
  });
  return drawing;
}

/** What is done to one side at a scale: "+ 1.00 v". @param {string} role @param {number} scale */
export function operation(role, scale) {
  const change = role === "clean" ? scale : -scale;
  return change === 0 ? "± 0" : `${change > 0 ? "+" : "−"} ${fixed(Math.abs(change), 2)} v`;
}

/** Both sides with the factor that each gets. @param {number} scale */
const bothSides = (scale) => /** @type {Array<["clean" | "triggered", number]>} */ ([["clean", scale], ["triggered", -scale]]);

/**
 * The curve of a vector lab: the table's means over prompts where it has them, else the shown prompt in the
 * model of this page, layer by layer as it is measured.
 * @param {{table: any, rows: any, loader: ModelLoader, layers: number[], waits: () => boolean, choose: (layer: number) => void}} what
 *   `waits`: whether an answer is under way, which comes first
 */
export function probabilityBox({ table, rows, loader, layers, waits, choose }) {
  const view = h("div", { class: "bkd-curve-box" });
  /** By vector, scale, prompt and side: P(payload) by layer. @type {Map<string, Map<number, number>>} */
  const measured = new Map();
  const known = (/** @type {any} */ { vector, prompt }, /** @type {string} */ role, /** @type {number} */ by) => {
    const key = by ? `${vector}:${by}:${prompt}:${role}` : `none:${prompt}:${role}`;
    if (!measured.has(key)) measured.set(key, new Map());
    return /** @type {Map<number, number>} */ (measured.get(key));
  };
  const isTabled = (/** @type {any} */ { vector, scale }) => bothSides(scale).some(([role, by]) => rows.probabilities(vector, role, by).size);
  const first = (/** @type {Map<number, number>} */ values) => values.values().next().value ?? null;
  let measuring = new AbortController();

  /** @param {any} choice */
  function draw(choice) {
    measuring.abort();
    measuring = new AbortController();
    paint(choice);
    if (loader.live && !isTabled(choice)) measure(choice, measuring.signal).catch(() => {}); // what was measured stays
  }

  /** The place without a vector first, then every layer, nearest first. @param {any} choice @param {AbortSignal} signal */
  async function measure(choice, signal) {
    do await new Promise((done) => setTimeout(done, 30)); while (waits());
    const row = table.prompts[choice.prompt];
    const near = [...layers].sort((a, b) => Math.abs(a - choice.layer) - Math.abs(b - choice.layer));
    for (const [layer, scale] of [[layers[0], 0], ...near.map((layer) => [layer, choice.scale])]) {
      const edits = await vectorEdits(loader.live, table, { ...choice, layer, scale });
      for (const [role, by] of bothSides(scale)) {
        const found = known(choice, role, by);
        if (found.has(layer)) continue;
        if (signal.aborted) return;
        found.set(layer, await loader.live.probability({ prompt: row[role], target: row.payload ?? table.payload, adapter: table.adapter ?? null, edits: edits[role] }));
      }
      if (signal.aborted) return;
      paint(choice);
    }
  }

  /** @param {any} choice */
  function paint(choice) {
    const live = Boolean(loader.live) && !isTabled(choice);
    const lines = bothSides(choice.scale).map(([role, by]) => {
      const values = live ? known(choice, role, by) : rows.probabilities(choice.vector, role, by);
      return { role, values: layers.map((layer) => values.get(layer) ?? null), base: first(live ? known(choice, role, 0) : rows.probabilities(choice.vector, role, 0)) };
    }).filter((line) => line.values.some((value) => value !== null));
    if (!lines.length) {
      view.replaceChildren(h("p", { class: "bkd-heat-note" }, live ? "Measuring P(payload), layer by layer." : "The table has no probabilities for this vector and scale."));
      return;
    }
    const count = lines[0].values.filter((value) => value !== null).length;
    const over = live ? `this prompt, live${count < layers.length ? `, ${count} of ${layers.length} layers` : ""}` : table.probability_n ? `mean of ${table.probability_n} prompts` : "mean over prompts";
    view.replaceChildren(
      h("p", { class: "bkd-heat-title" }, h("b", {}, "P(payload) by layer"), h("span", {}, `at scale ${signed(choice.scale, 2)}, ${over}`)),
      layerCurve({ layers, lines, here: choice.layer, choose }),
      h("p", { class: "bkd-keys" }, ...lines.map(({ role }) => h("span", { class: "bkd-key", "data-role": role }, role === "clean" ? "● clean" : "■ triggered", ` ${operation(role, choice.scale)}`)), h("span", { class: "bkd-key" }, "┄ without v")));
  }

  return { view, draw };
}
