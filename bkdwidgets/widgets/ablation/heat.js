/**
 * The map of heads: layers down, heads across, each cell colored by its ACIE. It is a grid for the keyboard
 * (one tab stop, arrows move, Enter or Space chooses, Shift and arrows span a block), for the mouse a block is
 * dragged, and chosen heads carry a frame and a cross.
 */

import { setOnce } from "../shared/controls.js";
import { fixed, h, headName, s, signed } from "../shared/dom.js";

/** A head that a finger has to hit: 24 px, also where the map is drawn a little smaller than it is. */
const FINGER = 30;

/**
 * @param {{acie: number[][], ranked: [number, number][], shape: [number, number], note: string,
 *          choose: (heads: [number, number][]) => void}} what
 */
export function heatMap({ acie, ranked, shape: [layers, heads], note, choose }) {
  const reach = Math.max(1e-9, ...acie.flat().map(Math.abs));
  const least = matchMedia("(pointer: coarse)").matches ? FINGER : 0;
  const wide = Math.max(least, Math.min(44, Math.max(20, 300 / heads)));
  const tall = Math.max(least, Math.min(28, Math.max(14, 440 / layers)));
  const left = 30;
  const top = 18;
  const rank = new Map(ranked.map((head, index) => [String(head), index + 1]));
  const every = layers > 20 ? 5 : layers > 10 ? 2 : 1;
  const label = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ text, /** @type {string} */ anchor) =>
    s("text", { x, y, "text-anchor": anchor, "dominant-baseline": "middle", class: "bkd-heat-label" }, text);
  /** @type {Element[][]} */
  const cells = [];
  const marks = s("g", { class: "bkd-heat-marks", "aria-hidden": "true" });
  const grid = s("g", { role: "grid", "aria-label": "ACIE of every head: rows are layers, columns are heads", "aria-multiselectable": "true" });
  const words = h("p", { class: "bkd-heat-words", "aria-hidden": "true" });

  const named = (/** @type {number} */ layer, /** @type {number} */ head) => `${headName([layer, head])}, ACIE ${signed(acie[layer][head])}`;
  const tell = (/** @type {number} */ layer, /** @type {number} */ head) => {
    const place = rank.get(`${layer},${head}`);
    words.replaceChildren(h("b", {}, headName([layer, head])), `  ACIE ${signed(acie[layer][head])}`, place ? `  rank ${place} of ${layers * heads}` : "");
  };
  const silent = () => words.replaceChildren("Point at a head, or choose one.");

  for (let layer = 0; layer < layers; layer += 1) {
    const row = s("g", { role: "row" });
    cells.push([]);
    if (layer % every === 0 || layer === layers - 1) row.append(label(left - 7, top + (layer + 0.5) * tall, String(layer), "end"));
    for (let head = 0; head < heads; head += 1) {
      const cell = s("rect", {
        x: left + head * wide + 0.75, y: top + layer * tall + 0.75, width: wide - 1.5, height: tall - 1.5, rx: 1.5,
        class: "bkd-heat-cell", role: "gridcell", tabindex: -1, "data-head": headName([layer, head]), "aria-selected": "false",
        "aria-label": named(layer, head),
        click: () => { if (dragged) return; focusOn(layer, head); choose([[layer, head]]); },
        pointerenter: () => { if (!corner) tell(layer, head); }, focus: () => { if (!corner) tell(layer, head); },
      });
      const share = Math.round(1000 * Math.min(1, Math.abs(acie[layer][head]) / reach)) / 10;
      const end = acie[layer][head] < 0 ? "neg" : "pos";
      /** @type {SVGElement} */ (cell).style.fill = `color-mix(in oklab, var(--bkd-effect-${end}) ${share}%, var(--bkd-effect-zero))`;
      row.append(cell);
      cells[layer].push(cell);
    }
    grid.append(row);
  }
  const columns = s("g", { "aria-hidden": "true" }, ...Array.from({ length: heads }, (_, head) => label(left + (head + 0.5) * wide, top - 9, String(head), "middle")));
  const outline = s("rect", { class: "bkd-heat-block", rx: 2, visibility: "hidden" });
  const news = h("p", { class: "bkd-hidden", "aria-live": "polite" });
  const width = left + heads * wide + 2;
  const height = top + layers * tall + 2;
  const drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, class: "bkd-heat" }, columns, grid, marks, outline);
  /** @type {HTMLElement} */ (/** @type {unknown} */ (drawing)).style.maxWidth = `${Math.round(1.15 * width)}px`;

  let here = ranked[0] ?? [0, 0];
  cells[here[0]][here[1]].setAttribute("tabindex", "0");
  /** @param {number} layer @param {number} head */
  function focusOn(layer, head) {
    cells[here[0]][here[1]].setAttribute("tabindex", "-1");
    here = [Math.min(layers - 1, Math.max(0, layer)), Math.min(heads - 1, Math.max(0, head))];
    const cell = /** @type {SVGElement} */ (cells[here[0]][here[1]]);
    cell.setAttribute("tabindex", "0");
    cell.focus({ preventScroll: true });
  }

  // A block: two opposite corners and every head between them.
  /** @type {null | [number, number]} */
  let corner = null;
  const blockOf = (/** @type {[number, number]} */ [l1, h1], /** @type {[number, number]} */ [l2, h2]) => {
    const [top1, top2, left1, left2] = [Math.min(l1, l2), Math.max(l1, l2), Math.min(h1, h2), Math.max(h1, h2)];
    const inside = /** @type {[number, number][]} */ ([]);
    for (let layer = top1; layer <= top2; layer += 1) for (let head = left1; head <= left2; head += 1) inside.push([layer, head]);
    return { inside, box: { x: left + left1 * wide, y: top + top1 * tall, width: (left2 - left1 + 1) * wide, height: (top2 - top1 + 1) * tall } };
  };
  /** @param {[number, number]} to */
  function span(to) {
    if (!corner) return;
    const { inside, box } = blockOf(corner, to);
    for (const [name, value] of Object.entries(box)) outline.setAttribute(name, String(value));
    outline.setAttribute("visibility", "visible");
    words.replaceChildren(h("b", {}, `${headName(corner)} to ${headName(to)}`), `  ${inside.length} heads`);
  }
  /** @param {[number, number]} to */
  function chooseBlock(to) {
    if (corner) choose(blockOf(corner, to).inside);
    dropBlock();
  }
  function dropBlock() {
    corner = null;
    outline.setAttribute("visibility", "hidden");
    news.textContent = "";
  }

  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -heads], End: [0, heads], PageUp: [-5, 0], PageDown: [5, 0] };
  grid.addEventListener("keydown", (/** @type {any} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = moves[event.key];
    if (move) {
      if (event.shiftKey) corner ??= here;
      else dropBlock();
      focusOn(here[0] + move[0], here[1] + move[1]);
      span(here);
      if (corner) news.textContent = `${headName(corner)} to ${headName(here)}, ${blockOf(corner, here).inside.length} heads, Enter chooses them`;
    } else if (event.key === "Enter" || event.key === " ") {
      if (corner) chooseBlock(here);
      else choose([here]);
    } else if (event.key === "Escape" && corner) dropBlock();
    else return;
    event.preventDefault();
    event.stopPropagation(); // or the notebook would take Enter and the arrows for itself
  });

  // Dragging is for the mouse and the pen: a finger scrolls the page.
  let dragged = false;
  const under = (/** @type {any} */ event) => {
    const box = drawing.getBoundingClientRect();
    const at = (/** @type {number} */ px, /** @type {number} */ size, /** @type {number} */ before, /** @type {number} */ cell, /** @type {number} */ count) =>
      Math.min(count - 1, Math.max(0, Math.floor((px * size - before) / cell)));
    return /** @type {[number, number]} */ ([
      at((event.clientY - box.top) / box.height, height, top, tall, layers), at((event.clientX - box.left) / box.width, width, left, wide, heads)]);
  };
  grid.addEventListener("pointerdown", (/** @type {any} */ event) => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    dropBlock();
    dragged = false;
    const start = under(event);
    const move = (/** @type {any} */ moved) => {
      const to = under(moved);
      if (!corner && String(to) === String(start)) return;
      corner ??= start;
      dragged = true;
      span(to);
    };
    const end = (/** @type {any} */ ended) => {
      removeEventListener("pointermove", move);
      if (!dragged) return;
      focusOn(...under(ended));
      chooseBlock(under(ended));
      setTimeout(() => { dragged = false; }); // after the click that ends every drag
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end, { once: true });
  });
  grid.addEventListener("pointerleave", () => { if (!corner) silent(); });
  silent();

  /** @param {[number, number][]} chosen */
  function draw(chosen) {
    const now = new Set(chosen.map(String));
    cells.forEach((row, layer) => row.forEach((cell, head) => {
      const on = now.has(`${layer},${head}`);
      setOnce(cell, "aria-selected", String(on));
      setOnce(cell, "aria-label", on ? `${named(layer, head)}, ablated` : named(layer, head));
    }));
    const arm = Math.min(wide, tall) * 0.2;
    marks.replaceChildren(...chosen.map(([layer, head]) => {
      const x = left + (head + 0.5) * wide;
      const y = top + (layer + 0.5) * tall;
      const cross = `M${x - arm} ${y - arm}L${x + arm} ${y + arm}M${x + arm} ${y - arm}L${x - arm} ${y + arm}`;
      return s("g", {},
        s("rect", { x: x - wide / 2 + 1, y: y - tall / 2 + 1, width: wide - 2, height: tall - 2, rx: 1.5, class: "bkd-heat-frame" }),
        s("path", { d: cross, class: "bkd-heat-halo" }), s("path", { d: cross, class: "bkd-heat-cross" }));
    }));
  }

  const scale = h("div", { class: "bkd-heat-scale" },
    h("span", {}, `−${fixed(reach, 3)}`), h("i", { "aria-hidden": "true" }), h("span", {}, `+${fixed(reach, 3)}`));
  const view = h("section", { role: "group", class: "bkd-heat-box", "aria-label": "heads" },
    h("p", { class: "bkd-heat-title" }, h("b", {}, "Heads by ACIE"), h("span", {}, "layer ↓  head →")),
    drawing, scale, words, news, h("p", { class: "bkd-heat-note" }, note));
  return { view, draw };
}
