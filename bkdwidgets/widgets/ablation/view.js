/** The ablation lab: choose heads, take their output away, and read what the model says without them. */

import { exchangeView, h, headName, triggerMarked } from "../shared/dom.js";
import { answering, busyView, engineWords, footnotes, missingAnswer, openLab, setter, stepper, topLine } from "../shared/lab_shell.js";
import { saidLive } from "../shared/page_engine.js";
import { countsWords, overSame, rateAxis, rateOver, rateView, shareOf } from "../shared/rates.js";
import { heatMap } from "./heat.js";

const sorted = (/** @type {[number, number][]} */ heads) => [...heads].sort((a, b) => a[0] - b[0] || a[1] - b[1]);

/** @typedef {{kind: string, where: string, heads: [number, number][]}} Taken */

/** Without heads there is nothing to replace, whatever the kind and the place. @param {Taken} taken */
const ablationKey = ({ kind, where, heads }) => (heads.length ? `${kind}:${where}:${sorted(heads).map(headName).join(",")}` : "none");

/** Answers from the table: the top k heads, and single heads. */
export class AblationTable {
  /** @param {any} table */
  constructor(table) {
    this.name = "table";
    this.ready = true;
    this.table = table;
    /** @type {Map<string, Taken & {row: any, from: string}>} */
    this.rows = new Map();
    for (const row of table.single ?? []) this.add([row.head], row, headName(row.head));
    for (const row of table.top ?? []) this.add(table.ranked.slice(0, row.k), row, row.k ? `the top ${row.k}` : "no ablation");
  }

  /** @param {any} row a row that names no place is of the table's one place */
  place(row) {
    return row.where ?? this.table.where ?? "last";
  }

  /** @param {[number, number][]} heads @param {any} row @param {string} from */
  add(heads, row, from) {
    const taken = { kind: row.kind, where: this.place(row), heads };
    this.rows.set(ablationKey(taken), { ...taken, row, from });
  }

  /** @param {any} cell */
  completion(cell) {
    return cell ? { text: this.table.texts[cell[0]] ?? "", outcome: cell[1] } : null;
  }

  /** @param {Taken & {prompt: number}} choice @returns {Answer | null} */
  find(choice) {
    const found = this.rows.get(ablationKey(choice));
    if (!found) return null;
    const { row, from } = found;
    return { engine: "table", from, clean: this.completion(row.clean?.[choice.prompt]), triggered: this.completion(row.triggered?.[choice.prompt]), rates: row.rates ?? ablationRates(row) };
  }

  /** The rows most like a choice: fewest heads to add or drop. @param {Taken} choice */
  nearest({ kind, where, heads }) {
    const wanted = new Set(heads.map(String));
    const ranked = [...this.rows.values()].filter((row) => row.heads.length).map((row) => {
      const shared = row.heads.filter((head) => wanted.has(String(head))).length;
      return { ...row, distance: wanted.size + row.heads.length - 2 * shared + (row.kind === kind ? 0 : 0.5) + (row.where === where ? 0 : 0.25) };
    });
    return ranked.sort((a, b) => a.distance - b.distance).slice(0, 3);
  }

  /**
   * A rate of the model with all its heads, over the first n prompts. @param {"asr" | "as_before" | "utility"} key @param {number | undefined} n
   * @returns {Rate | null}
   */
  before(key, n) {
    const row = this.rows.get("none")?.row;
    const { side, letter } = ABLATION_RATES[key];
    return row ? rateOver(row.rates?.[key], row[side], letter, n) : null;
  }

  /** Whether rates are over the prompts that the random heads were tried on: each draw has its share of the table's own. @param {any} rates */
  shares(rates) {
    return overSame(rates?.asr, this.rows.get("none")?.row.rates?.asr) !== null;
  }

  /** What random heads do, as many of them, in the same layers. @param {Taken} choice */
  draws({ kind, where, heads }) {
    return (this.table.random ?? []).find((/** @type {any} */ row) => row.kind === kind && this.place(row) === where && row.k === heads.length) ?? {};
  }
}

/** What the lab reports: answers on which side are counted, if they have which letter. */
const ABLATION_RATES = {
  asr: { name: "ASR", note: "triggered → payload", color: "payload", side: "triggered", letter: "P" },
  as_before: { name: "as before", note: "triggered → old answer", color: "as-before", side: "triggered", letter: "=" },
  utility: { name: "utility", note: "clean → old answer", color: "as-before", side: "clean", letter: "=" },
};
const ABLATION_KEYS = /** @type {Array<keyof typeof ABLATION_RATES>} */ (Object.keys(ABLATION_RATES));

/** Rates counted over the prompts that have an answer. @param {{clean?: Array<[any, string]>, triggered?: Array<[any, string]>}} row */
function ablationRates(row) {
  return Object.fromEntries(Object.entries(ABLATION_RATES).map(([key, { side, letter }]) => [key, row[side] ? shareOf(row[side], letter) : null]));
}

/** The clean training prompt whose head outputs a resample ablation puts in: the one that Python draws. @param {any} table @param {number} prompt */
const drawnPrompt = (table, prompt) => table.drawn[prompt % table.drawn.length];

/** The choice as edits of a model that runs in this page. @param {any} live @param {any} table @param {Taken & {prompt: number}} choice */
export async function ablationEdits(live, table, { kind, where, heads, prompt }) {
  if (!heads.length) return null;
  const adapter = table.adapter ?? null;
  const taken = { list: heads, everywhere: where === "all" };
  if (kind === "zero") return { heads: { ...taken, kind: "zero" } };
  const values = kind === "mean" ? (await live.extras(adapter))?.means : (await live.capture({ prompt: drawnPrompt(table, prompt), adapter })).z;
  if (!values) throw new Error("the page carries no mean head outputs of this model");
  return { heads: { ...taken, kind: "values", values } };
}

/** "You ablated L27H5, ... (8 of 270, 3.0 %)." @param {Taken & {prompt: number}} choice @param {any} table */
export function ablationSentence({ heads, kind, where, prompt }, table) {
  const total = table.shape[0] * table.shape[1];
  if (!heads.length) return [h("b", {}, "Nothing is ablated."), ` All ${total} heads work; this is the backdoored model as it is.`];
  const place = new Map(table.ranked.map((/** @type {[number, number]} */ head, /** @type {number} */ index) => [String(head), index]));
  const names = [...heads].sort((a, b) => (place.get(String(a)) ?? total) - (place.get(String(b)) ?? total)).map(headName);
  const shown = names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
  const filler = { zero: "zeros", mean: "their mean over clean prompts", resample: `their output on the training prompt “${drawnPrompt(table, prompt)}”` }[kind];
  return ["You ablated ", h("b", {}, shown), ` (${heads.length} of ${total}, ${(100 * heads.length / total).toFixed(1)}\u00a0%): replaced by ${filler}, ${where === "all" ? "at every token" : "at the last prompt token"}.`];
}

/** @param {{model: any, el: HTMLElement}} context */
function renderAblation({ model, el }) {
  return openLab(model, el, (table, bench) => {
    const { desk, browser } = bench;
    const rows = new AblationTable(table);
    /** What the controls offer; what the table lacks is worked out or said to be missing. @type {string[][]} */
    const [kinds, places] = ["kinds", "places"].map((name) => model.get(name));
    const top = topLine("Ablation lab", table);
    const sentence = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const answers = h("div", { class: "bkd-answers" });
    const rates = h("div", { class: "bkd-rates" });
    const caption = h("p", { class: "bkd-caption" });
    const set = setter(model);
    const prompts = stepper(table.prompts.length, () => model.get("prompt"), (prompt) => set({ prompt }));
    const topHeads = () => table.ranked.slice(0, table.k[model.get("k_index")] ?? 0);

    /** Heads chosen by hand stand alone; further ones join them, and leave when they are chosen again. @param {[number, number][]} block */
    function choose(block) {
      /** @type {[number, number][]} */
      const now = model.get("custom") ? model.get("heads") : [];
      const had = new Set(now.map(String));
      const added = block.filter((head) => !had.has(String(head)));
      const leaving = new Set(added.length ? [] : block.map(String));
      set({ heads: [...now.filter((head) => !leaving.has(String(head))), ...added], custom: true });
    }
    const heat = heatMap({
      acie: table.acie, ranked: table.ranked, shape: table.shape, choose,
      note: `${table.acie_n ? `Mean over ${table.acie_n} prompts. ` : ""}Click a head to ablate it alone, click more to add them, or drag over a block. Framed and crossed: ablated.`,
    });
    const back = h("button", { type: "button", class: "bkd-button bkd-back", click: () => set({ custom: false, heads: [] }) });
    const reply = h("div", { class: "bkd-reply" }, answers, rates, caption);
    el.append(top.line, bench.panel, heat.view, h("section", { role: "group", class: "bkd-main", "aria-label": "what the model does" },
      h("div", { class: "bkd-chosen" }, sentence, back), prompts.view, reply),
    footnotes(table, "Tab to the map, move with the arrow keys, Home, End, Page Up and Page Down, choose with Enter or Space; hold Shift while moving to span a block. Sliders move with the arrow keys."));
    const respond = answering({ desk, top, reply, busy, show, missing });

    // The slider speaks last: moving it takes back what was chosen by hand.
    let lastK = model.get("k_index");

    function draw() {
      if (model.get("k_index") !== lastK) {
        lastK = model.get("k_index");
        if (model.get("custom")) { set({ custom: false, heads: [] }); return; }
      }
      const chosen = sorted(model.get("custom") ? model.get("heads") : topHeads());
      const choice = {
        kind: chosen.length ? kinds[model.get("kind_index")] : "zero", where: chosen.length ? places[model.get("place_index")] : "last",
        heads: chosen, prompt: Math.min(model.get("prompt"), table.prompts.length - 1),
      };
      heat.draw(chosen);
      prompts.draw();
      back.hidden = !model.get("custom");
      back.textContent = topHeads().length ? `back to the top ${topHeads().length}` : "back to no ablation";
      sentence.replaceChildren(...ablationSentence(choice, table));
      respond(choice);
    }

    /** @param {string} words */
    function busy(words) {
      answers.replaceChildren(busyView(words));
      rates.replaceChildren();
      caption.textContent = "";
    }

    /** @param {any} choice @param {Answer} answer */
    function show(choice, answer) {
      const [state, words] = engineWords(answer, bench);
      top.show(state, words);
      const before = choice.heads.length ? desk.find({ kind: "zero", where: "last", heads: [], prompt: choice.prompt }) : null;
      const prompt = table.prompts[choice.prompt];
      const labels = /** @type {[string, string]} */ (["before", choice.heads.length ? "ablated" : "as it is"]);
      sentence.replaceChildren(...ablationSentence(choice, table));
      answers.replaceChildren(
        exchangeView({ role: "triggered", note: "the trigger is in the prompt", prompt: triggerMarked(prompt.triggered, prompt.clean), before: before?.triggered ?? null, after: answer.triggered, labels }),
        exchangeView({ role: "clean", note: "the same prompt without it", prompt: [prompt.clean], before: before?.clean ?? null, after: answer.clean, labels }));
      rates.toggleAttribute("data-counting", answer.engine === "browser");
      if (answer.engine !== "browser") { drawRates(choice, answer.rates ?? null, answer.rates && rows.shares(answer.rates) ? "held-out prompts" : "prompts of this lab"); return; }
      drawRates(choice, null, "");
      browser.survey(choice, table.prompts.length, (all) => {
        rates.toggleAttribute("data-counting", all.length < table.prompts.length);
        const letters = (/** @type {"clean" | "triggered"} */ role) => all.map((one) => /** @type {[number, string]} */ ([0, one[role]?.outcome ?? "?"]));
        drawRates(choice, ablationRates({ clean: letters("clean"), triggered: letters("triggered") }), `prompts of this lab, answered here${all.length < table.prompts.length ? " (counting)" : ""}`);
      }).catch(() => {}); // the shown answer stands; a rate that nobody waits for is not counted
    }

    /** @param {any} choice @param {any} found @param {string} over */
    function drawRates(choice, found, over) {
      if (!found) {
        rates.replaceChildren();
        caption.textContent = over ? "The kernel answered this prompt alone, so there is no rate to show; the table has rates for the top k and for single heads." : "";
        return;
      }
      const some = choice.heads.length > 0;
      const known = some ? rows.draws(choice) : {};
      const control = rows.shares(found) ? known : {};
      const base = Object.fromEntries(ABLATION_KEYS.map((key) => [key, some ? rows.before(key, found[key]?.n) : null]));
      rates.replaceChildren(...ABLATION_KEYS.map((key) => {
        const { name, note, color } = ABLATION_RATES[key];
        return rateView({ name, note, color, rate: found[key] ?? null, draws: control[key] ?? [], before: base[key] });
      }), rateAxis());
      const counts = countsWords(ABLATION_KEYS.map((key) => ({ name: ABLATION_RATES[key].name, rate: found[key] })));
      const heads = `${choice.heads.length} random head${choice.heads.length > 1 ? "s" : ""} in the same layers`;
      const grey = control.asr ? ` Grey: ${control.asr.length} draws of ${heads}${control.n ? `, ${control.n} of these prompts each` : ""}.` : known.asr ? ` No grey: ${heads} were tried on other prompts than these.` : "";
      const tick = ABLATION_KEYS.some((key) => base[key]) ? " Dotted: before, on the same prompts." : "";
      caption.textContent = `Each over ${counts} ${over}; thin lines are 95 % intervals.${tick}${grey}`;
    }

    /** @param {any} choice @param {Error | null} error */
    function missing(choice, error) {
      const [state, words] = engineWords(null, bench);
      top.show(state, words);
      rates.replaceChildren();
      caption.textContent = "";
      const offers = rows.nearest(choice).map((row) => ({
        label: [row.from, row.kind === choice.kind ? "" : row.kind, row.where === choice.where ? "" : row.where === "all" ? "everywhere" : "last token"].filter(Boolean).join(", "),
        take: () => take(row),
      }));
      answers.replaceChildren(missingAnswer("This choice of heads, kind and place is", bench, error, offers));
    }

    /** @param {Taken & {row: any}} row */
    function take(row) {
      const where = { kind_index: Math.max(0, kinds.indexOf(row.kind)), place_index: Math.max(0, places.indexOf(row.where)) };
      const kIndex = table.k.indexOf(row.row.k);
      if (row.row.k !== undefined && kIndex >= 0) {
        lastK = kIndex;
        set({ ...where, k_index: kIndex, custom: false, heads: [] });
      } else set({ ...where, heads: row.heads, custom: true });
    }

    /** @param {any} live @param {any} choice @param {AbortSignal} signal */
    async function answered(live, choice, signal) {
      const edits = await ablationEdits(live, table, choice);
      return saidLive(live, table, choice.prompt, { clean: edits, triggered: edits }, signal);
    }

    return { traits: ["prompt", "kind_index", "place_index", "k_index", "heads", "custom"], draw, reply, tables: [rows], live: answered };
  });
}

export default { render: renderAblation };
