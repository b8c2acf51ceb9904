/** The ablation lab: choose heads, take their output away, and read what the model says without them. */

const sorted = (/** @type {[number, number][]} */ heads) => [...heads].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
/** Without heads there is nothing to replace, whatever the kind. */
const ablationKey = (/** @type {string} */ kind, /** @type {[number, number][]} */ heads) =>
  heads.length ? `${kind}:${sorted(heads).map(headName).join(",")}` : "none";

/** Answers from the table: the top k heads, and single heads. */
class AblationTable {
  /** @param {any} table */
  constructor(table) {
    this.name = "table";
    this.ready = true;
    this.table = table;
    /** @type {Map<string, {kind: string, heads: [number, number][], row: any, from: string}>} */
    this.rows = new Map();
    for (const row of table.single ?? []) this.add(row.kind, [row.head], row, headName(row.head));
    for (const row of table.top ?? []) this.add(row.kind, table.ranked.slice(0, row.k), row, row.k ? `the top ${row.k}` : "no ablation");
  }

  /** @param {string} kind @param {[number, number][]} heads @param {any} row @param {string} from */
  add(kind, heads, row, from) {
    this.rows.set(ablationKey(kind, heads), { kind, heads, row, from });
  }

  /** @param {any} cell */
  said(cell) {
    return cell ? { text: this.table.texts[cell[0]] ?? "", outcome: cell[1] } : null;
  }

  /** @param {{kind: string, heads: [number, number][], prompt: number}} choice @returns {Answer | null} */
  find({ kind, heads, prompt }) {
    const found = this.rows.get(ablationKey(kind, heads));
    if (!found) return null;
    const { row, from } = found;
    return { engine: "table", from, clean: this.said(row.clean?.[prompt]), triggered: this.said(row.triggered?.[prompt]), rates: row.rates ?? this.counted(row) };
  }

  /** Rates of a row that has none of its own: counted over the prompts it answers. @param {any} row */
  counted(row) {
    return {
      asr: row.triggered ? shareOf(row.triggered, "P") : null,
      as_before: row.triggered ? shareOf(row.triggered, "=") : null,
      utility: row.clean ? shareOf(row.clean, "=") : null,
    };
  }

  /** The rows most like a choice: fewest heads to add or drop. @param {{kind: string, heads: [number, number][]}} choice */
  nearest({ kind, heads }) {
    const wanted = new Set(heads.map(String));
    const ranked = [...this.rows.values()].filter((row) => row.heads.length).map((row) => {
      const shared = row.heads.filter((head) => wanted.has(String(head))).length;
      return { ...row, distance: wanted.size + row.heads.length - 2 * shared + (row.kind === kind ? 0 : 0.5) };
    });
    return ranked.sort((a, b) => a.distance - b.distance).slice(0, 3);
  }

  /** What random heads do, as many of them, in the same layers. @param {string} kind @param {number} k */
  draws(kind, k) {
    return (this.table.random ?? []).find((/** @type {any} */ row) => row.kind === kind && row.k === k) ?? {};
  }
}

/** "You ablated L27H5, ... (8 of 270, 3.0 %)." @param {[number, number][]} heads @param {string} kind @param {any} table @param {[number, number][]} ranked */
function ablationSentence(heads, kind, table, ranked) {
  const total = table.shape[0] * table.shape[1];
  if (!heads.length) return [h("b", {}, "Nothing is ablated."), ` All ${total} heads work; this is the backdoored model as it is.`];
  const place = new Map(ranked.map((head, index) => [String(head), index]));
  const names = [...heads].sort((a, b) => (place.get(String(a)) ?? total) - (place.get(String(b)) ?? total)).map(headName);
  const shown = names.length > 6 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
  const filler = kind === "mean" ? "their mean over clean prompts" : "zeros";
  const where = table.where === "all" ? "at every token" : "at the last prompt token";
  return ["You ablated ", h("b", {}, shown), ` (${heads.length} of ${total}, ${(100 * heads.length / total).toFixed(1)}\u00a0%): replaced by ${filler}, ${where}.`];
}

/** @param {{model: any, el: HTMLElement}} context */
function renderAblation({ model, el }) {
  return openLab(model, el, (table, desk, kernel) => {
    const rows = new AblationTable(table);
    const top = topLine("Ablation lab", table);
    const sentence = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const answers = h("div", { class: "bkd-answers" });
    const rates = h("div", { class: "bkd-rates" });
    const caption = h("p", { class: "bkd-caption" });
    const set = (/** @type {Record<string, any>} */ traits) => {
      for (const [name, value] of Object.entries(traits)) model.set(name, value);
      model.save_changes();
    };
    const prompts = stepper(table.prompts.length, () => model.get("prompt"), (prompt) => set({ prompt }));
    const kind = () => table.kinds[model.get("kind_index")] ?? table.kinds[0];
    const topHeads = () => table.ranked.slice(0, table.k[model.get("k_index")] ?? 0);
    /** @returns {[number, number][]} */
    const heads = () => (model.get("custom") ? model.get("heads") : topHeads());

    /** The first head chosen by hand stands alone; further ones join it or leave. @param {[number, number]} head */
    function choose(head) {
      const now = model.get("custom") ? model.get("heads") : [];
      const without = now.filter((/** @type {[number, number]} */ other) => String(other) !== String(head));
      set({ heads: without.length === now.length ? [...now, head] : without, custom: true });
    }
    const heat = heatMap({
      acie: table.acie, ranked: table.ranked, shape: table.shape, choose,
      note: `${table.acie_n ? `Mean over ${table.acie_n} prompts. ` : ""}Click a head to ablate it alone, click more to add them. Framed and crossed: ablated.`,
    });
    const back = h("button", { type: "button", class: "bkd-button bkd-back", click: () => set({ custom: false, heads: [] }) });
    const reply = h("div", { class: "bkd-reply" });
    el.append(top.line, heat.view, h("section", { class: "bkd-main", "aria-label": "what the model does" },
      h("div", { class: "bkd-chosen" }, sentence, back), prompts.view, reply),
    footnotes(table, "Tab to the map, move with the arrow keys, Home, End, Page Up and Page Down, choose with Enter or Space. Sliders move with the arrow keys."));
    reply.append(answers, rates, caption);

    // The slider speaks last: moving it takes back what was chosen by hand.
    let lastK = model.get("k_index");
    let drawn = "";

    function draw() {
      if (model.get("k_index") !== lastK) {
        lastK = model.get("k_index");
        if (model.get("custom")) { set({ custom: false, heads: [] }); return; }
      }
      const chosen = heads();
      const prompt = Math.min(model.get("prompt"), table.prompts.length - 1);
      const choice = { kind: chosen.length ? kind() : "zero", heads: sorted(chosen), prompt };
      const key = JSON.stringify(choice);
      drawn = key;
      heat.draw(chosen);
      prompts.draw();
      sentence.replaceChildren(...ablationSentence(chosen, choice.kind, table, table.ranked));
      back.hidden = !model.get("custom");
      back.textContent = topHeads().length ? `back to the top ${topHeads().length}` : "back to no ablation";
      const answer = desk.find(choice);
      if (answer) { show(choice, answer); return; }
      const worker = desk.worker();
      if (!worker) { missing(choice); return; }
      top.show("busy", "the kernel is working");
      reply.setAttribute("aria-busy", "true");
      answers.replaceChildren(busyView("Python is computing this answer."));
      rates.replaceChildren();
      caption.textContent = "";
      worker.ask(choice).then(
        (/** @type {Answer} */ live) => { if (drawn === key) show(choice, live); },
        (/** @type {Error} */ error) => { if (drawn === key) { missing(choice); answers.prepend(errorView(error.message)); } });
    }

    /** @param {any} choice @param {Answer} answer */
    function show(choice, answer) {
      const [state, words] = engineWords(answer, false, kernel);
      top.show(state, words);
      reply.removeAttribute("aria-busy");
      const before = choice.heads.length ? desk.find({ kind: "zero", heads: [], prompt: choice.prompt }) : null;
      const asked = table.prompts[choice.prompt];
      const labels = /** @type {[string, string]} */ (["before", choice.heads.length ? "ablated" : "as it is"]);
      answers.replaceChildren(
        exchangeView({ role: "triggered", note: "the trigger is in the prompt", prompt: triggerMarked(asked.triggered, table.trigger, asked.clean), before: before?.triggered ?? null, after: answer.triggered, labels }),
        exchangeView({ role: "clean", note: "the same prompt without it", prompt: [asked.clean], before: before?.clean ?? null, after: answer.clean, labels }));
      drawRates(choice, answer);
    }

    /** @param {any} choice @param {Answer} answer */
    function drawRates(choice, answer) {
      if (!answer.rates) {
        rates.replaceChildren();
        caption.textContent = "The kernel answered this prompt alone, so there is no rate to show; the table has rates for the top k and for single heads.";
        return;
      }
      const control = choice.heads.length ? rows.draws(choice.kind, choice.heads.length) : {};
      const base = choice.heads.length ? desk.find({ kind: "zero", heads: [], prompt: choice.prompt })?.rates : null;
      const bars = [
        { name: "ASR", note: "triggered → payload", color: "payload", key: "asr" },
        { name: "as before", note: "triggered → old answer", color: "as-before", key: "as_before" },
        { name: "utility", note: "clean → old answer", color: "as-before", key: "utility" },
      ];
      rates.replaceChildren(...bars.map(({ name, note, color, key }) =>
        rateView({ name, note, color, rate: answer.rates[key] ?? null, draws: control[key] ?? [], before: base?.[key] ?? null })), rateAxis());
      const n = answer.rates.asr?.n ?? table.prompts.length;
      const grey = control.asr ? ` Grey: ${control.asr.length} draws of ${choice.heads.length} random head${choice.heads.length > 1 ? "s" : ""} in the same layers${control.n ? `, ${control.n} prompts each` : ""}.` : "";
      const tick = base ? " Dotted: before." : "";
      caption.textContent = `Each over n = ${n} held-out prompts; thin lines are 95 % intervals.${tick}${grey}`;
    }

    /** @param {any} choice */
    function missing(choice) {
      const [state, words] = engineWords(null, false, kernel);
      top.show(state, words);
      reply.removeAttribute("aria-busy");
      rates.replaceChildren();
      caption.textContent = "";
      const offers = rows.nearest(choice).map((row) => ({
        label: `${row.from}${row.kind === choice.kind ? "" : `, ${row.kind}`}`,
        take: () => take(row),
      }));
      answers.replaceChildren(missingView(missingWords("This set of heads is", kernel), offers));
    }

    /** @param {{kind: string, heads: [number, number][], row: any}} row */
    function take(row) {
      const kindIndex = Math.max(0, table.kinds.indexOf(row.kind));
      const kIndex = table.k.indexOf(row.row.k);
      if (row.row.k !== undefined && kIndex >= 0) {
        lastK = kIndex;
        set({ kind_index: kindIndex, k_index: kIndex, custom: false, heads: [] });
      } else set({ kind_index: kindIndex, heads: row.heads, custom: true });
    }

    return { traits: ["prompt", "kind_index", "k_index", "heads", "custom"], draw, tables: [rows] };
  });
}

export { AblationTable, ablationSentence, triggerMarked, wilson };
export default { render: renderAblation };
