/** The grid lab: a choice on two or three axes, what came of it, and where it stands among the others. */

import { comparedRate, toldRate } from "../shared/compared.js";
import { exchangeView, fixed, h, triggerMarked } from "../shared/dom.js";
import { footnotes, missingView, openLab, setter, stepper, topLine } from "../shared/lab_shell.js";
import { overSame, rateAxis } from "../shared/rates.js";
import { gridCurve } from "./curve.js";

/** The cells of a grid by their place. */
export class Grid {
  /** @param {any} table */
  constructor(table) {
    this.table = table;
    this.cells = new Map(table.cells.map((/** @type {any} */ cell) => [cell.at.join(), cell]));
  }

  /** @param {number[]} at */
  find(at) {
    return this.cells.get(at.join()) ?? null;
  }

  /** The nearest cells that were measured. @param {number[]} at */
  nearest(at) {
    const far = (/** @type {number[]} */ other) => other.reduce((sum, place, axis) => sum + Math.abs(place - at[axis]), 0);
    return [...this.cells.values()].sort((one, other) => far(one.at) - far(other.at)).slice(0, 3);
  }

  /** One rate along the last axis, for each value of the first; what is between stays. @param {number[]} at @param {string} key */
  lines(at, key) {
    const { axes } = this.table;
    return axes[0].values.map((/** @type {any} */ value, /** @type {number} */ line) => ({
      name: String(value),
      rates: axes.at(-1).values.map((/** @type {any} */ _, /** @type {number} */ place) => this.find([line, ...at.slice(1, -1), place])?.rates[key] ?? null),
    }));
  }

  /** A choice in words. @param {number[]} at */
  words(at) {
    return this.find(at)?.words ?? `${this.table.axes.map((/** @type {any} */ axis, /** @type {number} */ index) => `${axis.name}: ${axis.values[at[index]]}`).join(", ")}.`;
  }

  /** What a rate is compared with. @param {any} cell @param {"reference" | "control"} which @param {string} key */
  other(cell, which, key) {
    const known = this.table[which];
    const rate = (which === "control" ? cell?.control?.[key] : null) ?? known?.rates?.[key] ?? null;
    return rate ? { name: known?.name ?? which, rate } : null;
  }
}

/** The curve's numbers as a table, folded away. @param {any} table @param {any[]} lines @param {string} name */
function gridTable(table, lines, name) {
  const last = table.axes.at(-1);
  const row = (/** @type {any} */ value, /** @type {number} */ place) => h("tr", {}, h("th", { scope: "row" }, String(value)),
    ...lines.map(({ rates }) => h("td", {}, rates[place] ? `${fixed(rates[place].value)} [${fixed(rates[place].low)}, ${fixed(rates[place].high)}]` : "–")));
  return h("div", { class: "bkd-grid-table", tabindex: 0, role: "region", "aria-label": `${name} as a table` },
    h("table", {}, h("caption", {}, `${name}: ${last.label ?? last.name} down, ${table.axes[0].label ?? table.axes[0].name} across`),
      h("thead", {}, h("tr", {}, h("td", {}), ...lines.map(({ name: of }) => h("th", { scope: "col" }, of)))),
      h("tbody", {}, ...last.values.map(row))));
}

/** @param {{model: any, el: HTMLElement}} context */
function renderGrid({ model, el }) {
  return openLab(model, el, (table) => {
    const grid = new Grid(table);
    const { axes } = table;
    const set = setter(model);
    const top = topLine(table.title ?? "Grid lab", { what: axes.map((/** @type {any} */ axis) => axis.name).join(" × "), ...table });
    const sentence = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const rates = h("div", { class: "bkd-rates" });
    const caption = h("p", { class: "bkd-caption" });
    const samples = h("div", { class: "bkd-samples" });
    const reply = h("div", { class: "bkd-reply" });
    const curve = h("div", {});
    const fold = h("details", { class: "bkd-fold" }, h("summary", {}, "The curve as a table"));
    const here = () => axes.map((/** @type {any} */ axis, /** @type {number} */ index) => Math.min(axis.values.length - 1, Math.max(0, model.get(`axis_${index}`))));
    const go = (/** @type {number[]} */ at) => set(Object.fromEntries(at.map((place, index) => [`axis_${index}`, place])));
    const most = Math.max(0, ...table.cells.map((/** @type {any} */ cell) => cell.samples?.length ?? 0));
    const shown = () => Math.min(Math.max(0, most - 1), model.get("prompt"));
    const steps = stepper(most, shown, (prompt) => set({ prompt }));
    reply.append(rates, caption, steps.view, samples);
    el.append(top.line, h("section", { role: "group", class: "bkd-curve-box", "aria-label": "the grid along its last axis" }, curve, fold),
      h("section", { role: "group", class: "bkd-main", "aria-label": "what came of it" }, h("div", { class: "bkd-chosen" }, sentence), reply),
      footnotes(table, "Sliders and buttons move with the arrow keys. A click on the curve goes to the nearest point."));

    function draw() {
      const at = here();
      const cell = grid.find(at);
      sentence.textContent = grid.words(at);
      drawCurve(at, cell);
      if (cell) show(cell);
      else missing(at);
    }

    /** @param {number[]} at @param {any} cell */
    function drawCurve(at, cell) {
      const key = model.get("curves")[model.get("curve_index")] ?? table.rates[0].key;
      const rate = table.rates.find((/** @type {any} */ one) => one.key === key);
      const lines = grid.lines(at, key);
      const levels = /** @type {const} */ (["reference", "control"]).flatMap((which) => {
        const level = table[which]?.rates?.[key];
        return level ? [{ name: table[which].name, value: level.value, dotted: which === "reference" }] : [];
      });
      const value = cell?.rates[key];
      const way = axes.at(-1).label ?? axes.at(-1).name;
      const sentence = `${rate.name} over ${way}, a line for each ${axes[0].label ?? axes[0].name}. ${grid.words(at)} ${value ? `${rate.name} ${toldRate(value)}` : "Not measured"}.`;
      const sheet = axes.slice(1, -1).map((/** @type {any} */ axis, /** @type {number} */ index) => axis.values[at[index + 1]]).join(", ");
      curve.replaceChildren(
        h("p", { class: "bkd-heat-title" }, h("b", {}, rate.name), h("span", {}, sheet || `a line for each ${axes[0].label ?? axes[0].name}`)),
        gridCurve({ axis: way, values: axes.at(-1).values, lines, chosen: at[0], here: at.at(-1), color: rate.color, levels, words: sentence,
          choose: (line, place) => go([line, ...at.slice(1, -1), place]) }),
        h("p", { class: "bkd-keys" }, ...levels.map(({ name, dotted }) => h("span", { class: "bkd-key" }, `${dotted ? "┈" : "─"} ${name}`))));
      fold.replaceChildren(fold.firstElementChild, gridTable(table, lines, rate.name));
    }

    /** @param {any} cell */
    function show(cell) {
      top.show("table", "from the table");
      const known = table.rates.filter((/** @type {any} */ { key }) => cell.rates[key]);
      rates.replaceChildren(...known.map((/** @type {any} */ { key, name, note, color }) => comparedRate({
        name, note: note ?? "", color, rate: cell.rates[key], dotted: grid.other(cell, "reference", key), gray: grid.other(cell, "control", key) })), rateAxis());
      const named = (/** @type {"reference" | "control"} */ which) => known.some((/** @type {any} */ { key }) => overSame(cell.rates[key], grid.other(cell, which, key)?.rate)) ? table[which].name : "";
      const lines = table.interval ?? "thin lines are 95 % intervals";
      caption.textContent = [`${lines[0].toUpperCase()}${lines.slice(1)}.`, named("reference") && `Dotted: ${named("reference")}.`, named("control") && `Grey: ${named("control")}.`, cell.samples?.length ? table.sampled : ""].filter(Boolean).join(" ");
      drawSamples(cell.samples ?? []);
    }

    /** @param {any[]} all */
    function drawSamples(all) {
      const sample = all[Math.min(shown(), all.length - 1)];
      steps.view.hidden = !sample;
      steps.draw();
      if (!sample) { samples.replaceChildren(); return; }
      const part = (/** @type {"triggered" | "clean"} */ role, /** @type {Array<Node | string>} */ prompt) => exchangeView({
        role, note: role === "triggered" ? "the trigger is in the prompt" : "the same prompt without it", prompt, before: null, after: sample.answers[role], labels: ["", "says"] });
      samples.replaceChildren(h("div", { class: "bkd-pair bkd-sample" }, part("triggered", triggerMarked(sample.triggered, sample.clean)), part("clean", [sample.clean])));
    }

    /** @param {number[]} at */
    function missing(at) {
      top.show("none", "not in the table");
      caption.textContent = "";
      drawSamples([]);
      rates.replaceChildren(missingView("This cell of the grid was not measured. Nearest that was:",
        grid.nearest(at).map((cell) => ({ label: grid.words(cell.at).replace(/\.$/, ""), take: () => go(cell.at) }))));
    }

    return { traits: ["prompt", "curve_index", ...axes.map((/** @type {any} */ _, /** @type {number} */ index) => `axis_${index}`)], draw, reply };
  });
}

export default { render: renderGrid };
