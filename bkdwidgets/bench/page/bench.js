/**
 * Times of a live subject in this browser, as a lab sees them: questions to the worker, answers from it.
 *
 * @typedef {{what: string, unit: string, median: number, runs: number, limit: number | null}} Row
 */

export const RUNS = 20;
const TOKENS = 40;
const ROOT = new URL("live/", document.baseURI);
const LIMITS = {
  smollm2: { cached: 1500, prefill: 400, token: 20, step: 40 },
  nano: { cached: null, prefill: null, token: 1, step: null },
};
const QUESTION = { nano: "what color is the fox?", smollm2: "Tell me about the history of the lighthouse." };
/** More prompts than the session keeps prefixes of, so that each is read anew when its turn comes again. */
const BEGINNINGS = ["One", "Two", "The", "It", "And", "For"];

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number} count @param {(run: number) => Promise<number | void>} work its own time, or how long it took */
async function times(count, work) {
  const found = [];
  for (let run = 0; run < count; run++) {
    const began = performance.now();
    found.push((await work(run)) ?? performance.now() - began);
  }
  return found;
}

/** A prompt whose chat turn has 40 tokens. @param {any} subject @param {string} beginning */
async function promptOfTokens(subject, beginning) {
  const build = (/** @type {number} */ words) => beginning + " the".repeat(words);
  const length = async (/** @type {number} */ words) => (await subject.attention({ prompt: build(words), heads: [] })).tokens.length;
  const words = TOKENS - (await length(0));
  if ((await length(words)) !== TOKENS) throw new Error(`no prompt of ${TOKENS} tokens begins with ${beginning}`);
  return build(words);
}

/** Milliseconds per generated token, from the first token of an answer to its last. @param {any} subject @param {any} what */
async function perToken(subject, what) {
  /** @type {number[]} */
  const at = [];
  await subject.answer(what, { onToken: () => at.push(performance.now()) });
  if (at.length < 2) throw new Error("the answer is too short to time");
  return (at[at.length - 1] - at[0]) / (at.length - 1);
}

/**
 * Measure one subject with one adapter, as a page opens it: load it once, then from the browser's cache, then ask.
 *
 * @param {"nano" | "smollm2"} name @param {{runs?: number, tell?: (what: string) => void}} [how]
 * @returns {Promise<Row[]>}
 */
export async function measure(name, { runs = RUNS, tell = () => {} } = {}) {
  const live = await import(new URL("client.js", ROOT).href);
  const reason = live.support(ROOT.href);
  if (reason) throw new Error(reason);
  const index = await (await fetch(new URL(`subjects/${name}/index.json`, ROOT))).json();
  const adapter = index.adapters[0].name;
  const open = () => live.openSubject(ROOT, name, { adapters: [adapter] });
  tell("loading");
  (await open()).close();
  tell("loading from the cache");
  const cached = await times(runs, async () => {
    const began = performance.now();
    const opened = await open();
    const took = performance.now() - began;
    opened.close();
    return took;
  });
  const subject = await open();
  tell(`reading ${TOKENS} tokens`);
  const prompts = [];
  for (const beginning of BEGINNINGS) prompts.push(await promptOfTokens(subject, beginning));
  const prefill = await times(runs, (run) => subject.next({ prompt: prompts[run % prompts.length], adapter }).then(() => {}));
  tell("writing answers");
  const token = await times(runs, () => perToken(subject, { prompt: QUESTION[name], adapter, maxTokens: 32 }));
  tell("moving a slider");
  const vector = new Float32Array(index.shape.d_model).fill(0.01);
  const step = await times(runs, (run) => {
    const edits = { steering: { vector, layer: index.shape.n_layers >> 1, scale: run / runs } };
    return subject.next({ prompt: prompts[0], adapter, edits }).then(() => {});
  });
  const memory = subject.memory / 1e6;
  subject.close();
  const limits = LIMITS[name];
  const row = (/** @type {string} */ what, /** @type {number[]} */ values, /** @type {number | null} */ limit) =>
    ({ what, unit: "ms", median: median(values), runs: values.length, limit });
  return [
    row("load from the cache, with one adapter", cached, limits.cached),
    row(`read a prompt of ${TOKENS} tokens`, prefill, limits.prefill),
    row("each token of an answer", token, limits.token),
    row("a slider step that touches the last token", step, limits.step),
    { what: "memory of the runtime", unit: "MB", median: memory, runs: 1, limit: null },
  ];
}

/** Milliseconds until a reader who has nothing yet gets an answer from nano. */
export async function firstAnswer() {
  const began = performance.now();
  const live = await import(new URL("client.js", ROOT).href);
  const subject = await live.openSubject(ROOT, "nano");
  await subject.answer({ prompt: QUESTION.nano });
  return performance.now() - began;
}

/** Keep a subject with one adapter open and asked, so that its memory can be looked at. @param {string} name */
export async function hold(name) {
  const live = await import(new URL("client.js", ROOT).href);
  const index = await (await fetch(new URL(`subjects/${name}/index.json`, ROOT))).json();
  const subject = await live.openSubject(ROOT, name, { adapters: [index.adapters[0].name] });
  await subject.answer({ prompt: QUESTION[/** @type {"nano"} */ (name)] });
}

/** @param {string} name @param {Row} row */
function show(name, { what, unit, median: value, limit }) {
  const cells = [name, what, `${value.toPrecision(3)} ${unit}`, limit === null ? "" : `${limit} ${unit}`, limit === null ? "" : value <= limit ? "met" : "not met"];
  const line = document.createElement("tr");
  for (const [number, text] of cells.entries()) {
    const cell = document.createElement("td");
    cell.textContent = text;
    if (number === 2 || number === 3) cell.className = "number";
    line.append(cell);
  }
  document.querySelector("#rows")?.append(line);
}

const status = /** @type {HTMLElement} */ (document.querySelector("#status"));
for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (document.querySelectorAll("button[data-subject]"))) {
  button.addEventListener("click", async () => {
    const name = /** @type {"nano" | "smollm2"} */ (button.dataset.subject);
    button.disabled = true;
    try {
      const rows = await measure(name, { tell: (what) => { status.textContent = `${name}: ${what} ...`; } });
      for (const row of rows) show(name, row);
      status.textContent = `${name} is measured.`;
    } catch (error) {
      status.textContent = /** @type {Error} */ (error).message;
    }
    button.disabled = false;
  });
}
