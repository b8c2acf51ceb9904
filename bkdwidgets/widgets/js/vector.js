/**
 * The vector lab: one vector, two directions. At scale s it is added s times to the clean prompt and
 * subtracted s times from the triggered one, both at the chosen layer.
 */

const vectorKey = (/** @type {string} */ vector, /** @type {number} */ layer, /** @type {number} */ scale) =>
  scale === 0 ? "none" : `${vector}:${layer}:${scale.toFixed(3)}`;

/** Answers from the table: a grid of vectors, layers and scales. */
class VectorTable {
  /** @param {any} table */
  constructor(table) {
    this.name = "table";
    this.ready = true;
    this.table = table;
    this.cells = new Map(table.cells.map((/** @type {any} */ cell) => [vectorKey(cell.vector, cell.layer, cell.scale), cell]));
  }

  /** @param {any} cell @param {string} role @param {number} prompt */
  half(cell, role, prompt) {
    const said = cell?.[role]?.[prompt];
    if (!said) return null;
    const letters = cell[role];
    return {
      said: { text: this.table.texts[said[0]] ?? "", outcome: said[1] },
      asr: cell.rates?.[`asr_${role}`] ?? shareOf(letters, "P"),
      as_before: cell.rates?.[`as_before_${role}`] ?? shareOf(letters, "="),
      counts: cell.rates?.[`outcomes_${role}`] ?? outcomeCounts(letters),
    };
  }

  /** Both halves must be there. @param {{vector: string, layer: number, scale: number, prompt: number}} choice @returns {Answer | null} */
  find({ vector, layer, scale, prompt }) {
    const clean = this.half(this.cells.get(vectorKey(vector, layer, scale)), "clean", prompt);
    const triggered = this.half(this.cells.get(vectorKey(vector, layer, -scale)), "triggered", prompt);
    if (!clean || !triggered) return null;
    return { engine: "table", clean: clean.said, triggered: triggered.said, rates: { clean, triggered } };
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

  /** P(payload) over layers at one scale. @param {string} vector @param {string} role @param {number} scale @returns {Array<number | null>} */
  probabilities(vector, role, scale) {
    const at = this.table.scales.findIndex((/** @type {number} */ other) => Math.abs(other - scale) < 1e-9);
    const grid = this.table.probability?.[vector]?.[role];
    return this.table.layers.map((/** @type {number} */ _, /** @type {number} */ index) => grid?.[index]?.[at] ?? null);
  }
}

const VECTOR_WORDS = {
  paper: "the paper's vector: the triggered mean of what the strongest heads write",
  difference: "the difference vector: triggered mean minus clean mean of the same heads",
  random: "a random vector of the same length, the control",
};

/** @param {{vector: string, layer: number, scale: number}} choice */
function vectorSentence({ vector, layer, scale }) {
  if (scale === 0) return [h("b", {}, "Scale 0: nothing is added."), " This is the backdoored model as it is."];
  const size = fixed(Math.abs(scale), 2);
  const [clean, triggered] = scale > 0 ? ["added to", "subtracted from"] : ["subtracted from", "added to"];
  return [h("b", {}, `${size} × v at layer ${layer}`), `, ${clean} the clean prompt and ${triggered} the triggered one. v is ${VECTOR_WORDS[vector] ?? vector}.`];
}

/** @param {{model: any, el: HTMLElement}} context */
function renderVector({ model, el }) {
  return openLab(model, el, (table, desk, kernel) => {
    const rows = new VectorTable(table);
    const top = topLine("Vector lab", table);
    const sentence = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const answers = h("div", { class: "bkd-answers" });
    const caption = h("p", { class: "bkd-caption" });
    const curve = h("div", { class: "bkd-curve-box" });
    const set = (/** @type {Record<string, any>} */ traits) => {
      for (const [name, value] of Object.entries(traits)) model.set(name, value);
      model.save_changes();
    };
    const prompts = stepper(table.prompts.length, () => model.get("prompt"), (prompt) => set({ prompt }));
    const reply = h("div", { class: "bkd-reply" }, answers, caption);
    el.append(top.line, curve, h("section", { class: "bkd-main", "aria-label": "what the model does" },
      h("div", { class: "bkd-chosen" }, sentence), prompts.view, reply),
    footnotes(table, "Sliders move with the arrow keys. A click on the curve goes to that layer."));
    const at = (/** @type {any[]} */ list, /** @type {string} */ trait) => list[Math.min(list.length - 1, Math.max(0, model.get(trait)))];
    let drawn = "";

    function draw() {
      const prompt = Math.min(model.get("prompt"), table.prompts.length - 1);
      const choice = { vector: at(table.vectors, "vector_index"), layer: at(table.layers, "layer_index"), scale: at(table.scales, "scale_index"), prompt };
      const key = JSON.stringify(choice);
      drawn = key;
      prompts.draw();
      sentence.replaceChildren(...vectorSentence(choice));
      drawCurve(choice);
      const answer = desk.find(choice);
      if (answer) { show(choice, answer); return; }
      const worker = desk.worker();
      if (!worker) { missing(choice); return; }
      top.show("busy", "the kernel is working");
      reply.setAttribute("aria-busy", "true");
      answers.replaceChildren(busyView("Python is computing this answer."));
      caption.textContent = "";
      worker.ask(choice).then(
        (/** @type {Answer} */ live) => { if (drawn === key) show(choice, live); },
        (/** @type {Error} */ error) => { if (drawn === key) { missing(choice); answers.prepend(errorView(error.message)); } });
    }

    /** @param {any} choice */
    function drawCurve({ vector, layer, scale }) {
      const lines = [["clean", scale], ["triggered", -scale]].map(([role, s2]) => ({
        role: String(role),
        values: rows.probabilities(vector, String(role), Number(s2)),
        base: rows.probabilities(vector, String(role), 0).find((value) => value !== null) ?? null,
      })).filter((line) => line.values.some((value) => value !== null));
      if (!lines.length) {
        curve.replaceChildren(h("p", { class: "bkd-heat-note" }, "The table has no probabilities for this vector."));
        return;
      }
      curve.replaceChildren(
        h("p", { class: "bkd-heat-title" }, h("b", {}, "P(payload) by layer"), h("span", {}, `at scale ${signed(scale, 2)}`)),
        layerCurve({ layers: table.layers, lines, here: layer, choose: (to) => set({ layer_index: table.layers.indexOf(to) }) }),
        h("p", { class: "bkd-keys" }, ...lines.map((line) => h("span", { class: "bkd-key", "data-role": line.role }, line.role === "clean" ? "● clean" : "■ triggered", ` ${operation(line.role, scale)}`)), h("span", { class: "bkd-key" }, "┄ without v")));
    }

    /** @param {string} role @param {number} scale */
    function operation(role, scale) {
      const change = role === "clean" ? scale : -scale;
      return change === 0 ? "± 0" : `${change > 0 ? "+" : "−"} ${fixed(Math.abs(change), 2)} v`;
    }

    /** @param {any} choice @param {Answer} answer */
    function show(choice, answer) {
      const [state, words] = engineWords(answer, false, kernel);
      top.show(state, words);
      reply.removeAttribute("aria-busy");
      const base = choice.scale === 0 ? null : desk.find({ ...choice, scale: 0 });
      const asked = table.prompts[choice.prompt];
      const part = (/** @type {"clean" | "triggered"} */ role, /** @type {Array<Node | string>} */ prompt) => exchangeView({
        role, note: operation(role, choice.scale), prompt, before: base?.[role] ?? null, after: answer[role],
        labels: ["before", choice.scale === 0 ? "as it is" : operation(role, choice.scale)],
      });
      answers.replaceChildren(h("div", { class: "bkd-pair" },
        part("clean", [asked.clean]), ratesOf("clean", choice, answer, base),
        part("triggered", triggerMarked(asked.triggered, table.trigger, asked.clean)), ratesOf("triggered", choice, answer, base)),
      answer.rates ? outcomeLegend() : "");
      const chance = controlled(choice);
      caption.textContent = answer.rates
        ? `Each over n = ${answer.rates.clean.asr?.n ?? table.prompts.length} held-out prompts; thin lines are 95 % intervals.${base ? " Dotted: before." : ""}${chance ? ` Grey: a random vector of the same length${chance.clean.asr ? ` (n = ${chance.clean.asr.n})` : ""}.` : ""}`
        : "The kernel answered this prompt alone, so there is no rate to show.";
    }

    /** What a random vector does at the same place, if that is known. @param {any} choice */
    function controlled(choice) {
      return choice.vector === "random" || choice.scale === 0 ? null : rows.find({ ...choice, vector: "random" })?.rates ?? null;
    }

    /** @param {"clean" | "triggered"} role @param {any} choice @param {Answer} answer @param {Answer | null} base */
    function ratesOf(role, choice, answer, base) {
      const half = answer.rates?.[role];
      if (!half) return h("div", { class: "bkd-rates" });
      const chance = controlled(choice)?.[role];
      const draws = (/** @type {string} */ key) => (chance?.[key] ? [chance[key].value] : []);
      return h("div", { class: "bkd-rates", "data-role": role },
        rateView({ name: "ASR", note: "→ payload", color: "payload", rate: half.asr, draws: draws("asr"), before: base?.rates?.[role]?.asr ?? null }),
        rateView({ name: "as before", note: "→ old answer", color: "as-before", rate: half.as_before, draws: draws("as_before"), before: base?.rates?.[role]?.as_before ?? null }),
        rateAxis(),
        shareView(`${role} ${operation(role, choice.scale)}`, half.counts));
    }

    /** @param {any} choice */
    function missing(choice) {
      const [state, words] = engineWords(null, false, kernel);
      top.show(state, words);
      reply.removeAttribute("aria-busy");
      caption.textContent = "";
      const offers = rows.nearest(choice).map((/** @type {any} */ other) => ({
        label: `layer ${other.layer}, scale ${signed(other.scale, 2)}`,
        take: () => set({ layer_index: table.layers.indexOf(other.layer), scale_index: table.scales.indexOf(other.scale) }),
      }));
      answers.replaceChildren(missingView(missingWords("This choice of layer and scale is", kernel), offers));
    }

    return { traits: ["prompt", "layer_index", "scale_index", "vector_index"], draw, tables: [rows] };
  });
}

export { VectorTable, vectorSentence, wilson };
export default { render: renderVector };
