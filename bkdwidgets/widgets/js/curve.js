/** Payload probability over layers, one line per prompt kind, and a line that says where you are. */

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
    "aria-label": lines.map((line) => `P(payload) on ${line.role} prompts at layer ${here}: ${said(line)}`).join("; ") });
  /** @param {{values: Array<number | null>}} line */
  function said(line) {
    const value = line.values[layers.indexOf(here)];
    return value === null || value === undefined ? "not in the table" : fixed(value);
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
