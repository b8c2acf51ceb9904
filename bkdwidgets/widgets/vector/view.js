/**
 * The vector lab: one vector, two directions. At scale s it is added s times to the clean prompt and
 * subtracted s times from the triggered one, both at the chosen layer.
 */

import { exchangeView, fixed, h, signed, triggerMarked } from "../shared/dom.js";
import { answering, busyView, engineWords, footnotes, missingAnswer, openLab, setter, stepper, topLine } from "../shared/lab_shell.js";
import { saidLive } from "../shared/page_engine.js";
import { countsWords, outcomeCounts, outcomeLegend, rateAxis, rateOver, rateView, shareOf, shareView } from "../shared/rates.js";
import { operation, probabilityBox } from "./curve.js";
import { vectorEdits } from "./edits.js";

const vectorKey = (/** @type {string} */ vector, /** @type {number} */ layer, /** @type {number} */ scale) =>
  scale === 0 ? "none" : `${vector}:${layer}:${scale.toFixed(3)}`;

/** What the lab reports of each side. */
const VECTOR_RATES = {
  asr: { name: "ASR", note: "→ payload", color: "payload", letter: "P" },
  as_before: { name: "as before", note: "→ old answer", color: "as-before", letter: "=" },
};
const VECTOR_KEYS = /** @type {Array<keyof typeof VECTOR_RATES>} */ (Object.keys(VECTOR_RATES));

/** What is said of one side's answers. @param {Array<[any, string]>} letters */
const halfRates = (letters) => ({ asr: shareOf(letters, "P"), as_before: shareOf(letters, "="), counts: outcomeCounts(letters) });

/** Answers from the table: a grid of vectors, layers and scales. */
export class VectorTable {
  /** @param {any} table */
  constructor(table) {
    this.name = "table";
    this.ready = true;
    this.table = table;
    this.cells = new Map(table.cells.map((/** @type {any} */ cell) => [vectorKey(cell.vector, cell.layer, cell.scale), cell]));
  }

  /** @param {any} cell @param {string} role @param {number} prompt */
  half(cell, role, prompt) {
    const completion = cell?.[role]?.[prompt];
    if (!completion) return null;
    const counted = halfRates(cell[role]);
    return {
      completion: { text: this.table.texts[completion[0]] ?? "", outcome: completion[1] },
      asr: cell.rates?.[`asr_${role}`] ?? counted.asr,
      as_before: cell.rates?.[`as_before_${role}`] ?? counted.as_before,
      counts: cell.rates?.[`outcomes_${role}`] ?? counted.counts,
    };
  }

  /**
   * One rate of one side at a choice, over the first n prompts. @param {{vector: string, layer: number, scale: number}} choice
   * @param {"clean" | "triggered"} role @param {"asr" | "as_before"} key @param {number | undefined} n
   */
  rate({ vector, layer, scale }, role, key, n) {
    const cell = this.cells.get(vectorKey(vector, layer, role === "clean" ? scale : -scale));
    return rateOver(cell?.rates?.[`${key}_${role}`], cell?.[role], VECTOR_RATES[key].letter, n);
  }

  /** How many prompts have their letters one by one. @param {{vector: string, layer: number, scale: number}} choice @param {"clean" | "triggered"} role */
  shown({ vector, layer, scale }, role) {
    return this.cells.get(vectorKey(vector, layer, role === "clean" ? scale : -scale))?.[role]?.length ?? 0;
  }

  /** Both halves must be there. @param {{vector: string, layer: number, scale: number, prompt: number}} choice @returns {Answer | null} */
  find({ vector, layer, scale, prompt }) {
    const clean = this.half(this.cells.get(vectorKey(vector, layer, scale)), "clean", prompt);
    const triggered = this.half(this.cells.get(vectorKey(vector, layer, -scale)), "triggered", prompt);
    if (!clean || !triggered) return null;
    return { engine: "table", clean: clean.completion, triggered: triggered.completion, rates: { clean, triggered } };
  }

  /** The nearest choices both of whose halves are there. @param {{vector: string, layer: number, scale: number, prompt: number}} choice */
  nearest(choice) {
    const span = Math.max(1, ...this.table.layers) || 1;
    const reach = Math.max(...this.table.scales.map(Math.abs)) || 1;
    return this.table.cells
      .map(({ vector, layer, scale }) => ({ ...choice, vector, layer, scale }))
      .filter((/** @type {any} */ other) => other.vector === choice.vector && other.scale !== 0 && this.find(other))
      .map((/** @type {any} */ other) => ({ ...other, distance: Math.abs(other.layer - choice.layer) / span + Math.abs(other.scale - choice.scale) / reach }))
      .sort((/** @type {any} */ a, /** @type {any} */ b) => a.distance - b.distance).slice(0, 3);
  }

  /** P(payload) over layers at one scale, by layer. @param {string} vector @param {string} role @param {number} scale @returns {Map<number, number>} */
  probabilities(vector, role, scale) {
    const at = this.table.scales.findIndex((/** @type {number} */ other) => Math.abs(other - scale) < 1e-9);
    const grid = this.table.probability?.[vector]?.[role];
    return new Map(this.table.layers.map((/** @type {number} */ layer, /** @type {number} */ index) => [layer, grid?.[index]?.[at]])
      .filter((/** @type {any} */ [, value]) => typeof value === "number"));
  }
}

const VECTOR_WORDS = {
  paper: "the paper's vector: the triggered mean of what the strongest heads write",
  difference: "the difference vector: triggered mean minus clean mean of the same heads",
  random: "a random vector of the same length, the control",
};

/** @param {{vector: string, layer: number, scale: number}} choice */
export function vectorSentence({ vector, layer, scale }) {
  if (scale === 0) return [h("b", {}, "Scale 0: nothing is added."), " This is the backdoored model as it is."];
  const size = fixed(Math.abs(scale), 2);
  const [clean, triggered] = scale > 0 ? ["added to", "subtracted from"] : ["subtracted from", "added to"];
  return [h("b", {}, `${size} × v at layer ${layer}`), `, ${clean} the clean prompt and ${triggered} the triggered one. v is ${VECTOR_WORDS[vector] ?? vector}.`];
}

/**
 * Where nobody can work out an answer, a slider stops only where the table has one: at the nearest stop, or where a key
 * moved it, at the next stop that way. A pointer has no way: each of its moves starts where the last stop is, not where it is.
 * @param {number} from @param {number} to @param {number[]} stops positions, rising @param {boolean} byKey
 */
export function stopAt(from, to, stops, byKey) {
  if (stops.includes(to) || !stops.length) return to;
  if (!byKey) return stops.reduce((best, stop) => (Math.abs(stop - to) < Math.abs(best - to) ? stop : best));
  const ahead = to > from ? stops.filter((stop) => stop > to)[0] : stops.filter((stop) => stop < to).at(-1);
  return ahead ?? (to > from ? stops[stops.length - 1] : stops[0]);
}

/** @param {{model: any, el: HTMLElement}} context */
function renderVector({ model, el }) {
  return openLab(model, el, (table, bench) => {
    const { desk, loader, browser } = bench;
    const rows = new VectorTable(table);
    const layers = Array.from({ length: table.shape[0] }, (_, layer) => layer);
    /** @type {number[]} */
    const scales = model.get("scales");
    const top = topLine("Vector lab", table);
    const sentence = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const answers = h("div", { class: "bkd-answers" });
    const caption = h("p", { class: "bkd-caption" });
    const set = setter(model);
    const prompts = stepper(table.prompts.length, () => model.get("prompt"), (prompt) => set({ prompt }));
    const reply = h("div", { class: "bkd-reply" }, answers, caption);
    const curve = probabilityBox({ table, rows, loader, layers, waits: () => reply.hasAttribute("aria-busy"), choose: (layer) => set({ layer_index: layer }) });
    el.append(top.line, bench.panel, curve.view, h("section", { role: "group", class: "bkd-main", "aria-label": "what the model does" },
      h("div", { class: "bkd-chosen" }, sentence), prompts.view, reply),
    footnotes(table, "Sliders move with the arrow keys. A click on the curve goes to that layer."));
    const within = (/** @type {any[]} */ list, /** @type {string} */ trait) => Math.min(list.length - 1, Math.max(0, model.get(trait)));
    const respond = answering({ desk, top, reply, busy, show, missing });
    const scaleStops = scales.map((_, index) => index).filter((index) => table.scales.some((/** @type {number} */ scale) => Math.abs(scale - scales[index]) < 1e-9));
    let last = { layer: model.get("layer_index"), scale: model.get("scale_index") };

    /** Put the sliders where there is an answer. @returns {boolean} whether they moved, and another draw is due */
    function stopped() {
      const now = { layer: within(layers, "layer_index"), scale: within(scales, "scale_index") };
      const held = desk.worker() || !table.cells.length ? now : { layer: stopAt(last.layer, now.layer, table.layers, bench.byKey()), scale: stopAt(last.scale, now.scale, scaleStops, bench.byKey()) };
      last = held;
      if (held.layer === now.layer && held.scale === now.scale) return false;
      set({ layer_index: held.layer, scale_index: held.scale });
      return true;
    }

    function draw() {
      if (stopped()) return;
      const choice = {
        vector: table.vectors[within(table.vectors, "vector_index")], layer: last.layer, scale: scales[last.scale],
        prompt: Math.min(model.get("prompt"), table.prompts.length - 1),
      };
      prompts.draw();
      sentence.replaceChildren(...vectorSentence(choice));
      curve.draw(choice);
      respond(choice);
    }

    /** @param {string} words */
    function busy(words) {
      answers.replaceChildren(busyView(words));
      caption.textContent = "";
    }

    /** @param {any} choice @param {Answer} answer */
    function show(choice, answer) {
      const [state, words] = engineWords(answer, bench);
      top.show(state, words);
      paint(choice, answer, "held-out prompts");
      if (answer.engine !== "browser") return;
      browser.survey(choice, table.prompts.length, (all) => {
        const half = (/** @type {"clean" | "triggered"} */ role) => halfRates(all.map((one) => /** @type {[number, string]} */ ([0, one[role]?.outcome ?? "?"])));
        const over = `prompts of this lab, answered here${all.length < table.prompts.length ? " (counting)" : ""}`;
        paint(choice, { ...answer, rates: { clean: half("clean"), triggered: half("triggered"), counting: all.length < table.prompts.length } }, over);
      }).catch(() => {}); // the shown answer stands; a rate that nobody waits for is not counted
    }

    /** @param {any} choice @param {Answer} answer @param {string} over what the rates are over */
    function paint(choice, answer, over) {
      const base = choice.scale === 0 ? null : desk.find({ ...choice, scale: 0 });
      const prompt = table.prompts[choice.prompt];
      const part = (/** @type {"clean" | "triggered"} */ role, /** @type {Array<Node | string>} */ prompt) => exchangeView({
        role, note: operation(role, choice.scale), prompt, before: base?.[role] ?? null, after: answer[role],
        labels: ["before", choice.scale === 0 ? "as it is" : operation(role, choice.scale)],
      });
      answers.replaceChildren(h("div", { class: "bkd-pair" },
        part("clean", [prompt.clean]), ratesOf("clean", choice, answer),
        part("triggered", triggerMarked(prompt.triggered, prompt.clean)), ratesOf("triggered", choice, answer)),
      answer.rates ? outcomeLegend() : "");
      if (!answer.rates) {
        caption.textContent = answer.engine === "kernel" ? "The kernel answered this prompt alone, so there is no rate to show." : "";
        return;
      }
      const n = answer.rates.clean.asr?.n;
      const sides = /** @type {const} */ (["clean", "triggered"]);
      const any = (/** @type {(role: "clean" | "triggered") => Rate | null} */ of) => sides.some(of);
      const tick = any((role) => compared(role, "asr", choice, n).before) ? " Dotted: before, on the same prompts." : "";
      const grey = any((role) => compared(role, "asr", choice, n).chance) ? " Grey: a random vector of the same length, on the same prompts." : "";
      caption.textContent = `Each over ${countsWords([{ name: "ASR", rate: answer.rates.clean.asr }])} ${over}; thin lines are 95 % intervals.${tick}${grey}`;
    }

    /**
     * What a rate over n prompts is compared with: the model as it is, and a random vector of the same length.
     * @param {"clean" | "triggered"} role @param {"asr" | "as_before"} key @param {any} choice @param {number | undefined} n
     */
    function compared(role, key, choice, n) {
      const { vector, scale } = choice;
      return {
        before: scale === 0 ? null : rows.rate({ ...choice, scale: 0 }, role, key, n),
        chance: scale === 0 || vector === "random" ? null : rows.rate({ ...choice, vector: "random" }, role, key, n),
      };
    }

    /** Where a random vector was tried on fewer prompts, both on those, in words. @param {"clean" | "triggered"} role @param {"asr" | "as_before"} key @param {any} choice @param {number | undefined} n */
    function besides(role, key, choice, n) {
      if (choice.scale === 0 || choice.vector === "random" || compared(role, key, choice, n).chance) return null;
      const few = rows.shown({ ...choice, vector: "random" }, role);
      const [own, random] = [choice.vector, "random"].map((vector) => rows.rate({ ...choice, vector }, role, key, few));
      if (!own || !random || few >= (n ?? 0)) return null;
      return h("p", { class: "bkd-beside" }, `the first ${few} of them: v ${fixed(own.value)}, a random vector ${fixed(random.value)}`);
    }

    /** @param {"clean" | "triggered"} role @param {any} choice @param {Answer} answer */
    function ratesOf(role, choice, answer) {
      const half = answer.rates?.[role];
      if (!half) return h("div", { class: "bkd-rates" });
      return h("div", { class: "bkd-rates", "data-role": role, "data-counting": answer.rates.counting ?? null },
        ...VECTOR_KEYS.flatMap((key) => {
          const { name, note, color } = VECTOR_RATES[key];
          const { before, chance } = compared(role, key, choice, half[key]?.n);
          const beside = besides(role, key, choice, half[key]?.n);
          return [rateView({ name, note, color, rate: half[key], draws: chance ? [chance.value] : [], before }), ...(beside ? [beside] : [])];
        }),
        rateAxis(),
        shareView(`${role} ${operation(role, choice.scale)}`, half.counts));
    }

    /** @param {any} choice @param {Error | null} error */
    function missing(choice, error) {
      const [state, words] = engineWords(null, bench);
      top.show(state, words);
      caption.textContent = "";
      const offers = rows.nearest(choice).map((/** @type {any} */ other) => ({
        label: `layer ${other.layer}, scale ${signed(other.scale, 2)}`,
        take: () => set({ layer_index: other.layer, scale_index: scales.findIndex((scale) => Math.abs(scale - other.scale) < 1e-9) }),
      }));
      answers.replaceChildren(missingAnswer("This choice of layer and scale is", bench, error, offers));
    }

    /** @param {any} live @param {any} choice @param {AbortSignal} signal */
    async function answered(live, choice, signal) {
      return saidLive(live, table, choice.prompt, await vectorEdits(live, table, choice), signal);
    }

    return { traits: ["prompt", "layer_index", "scale_index", "vector_index"], draw, reply, tables: [rows], live: answered };
  });
}

export default { render: renderVector };
