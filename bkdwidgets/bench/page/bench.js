/**
 * Times of a live subject in this browser, as a lab sees them: questions to the worker, answers from it.
 *
 * @typedef {{what: string, unit: string, median: number, runs: number, limit: number | null}} Row
 */

export const RUNS = 20;
const TOKENS = 40;
const ROOT = new URL("live/", document.baseURI);
/**
 * What a page of each subject promises, from the subject's spec.
 * @type {Record<string, {question: string, download_mb: number | null, limits_ms: Record<string, number>}>}
 */
const SUBJECTS = await (await fetch("subjects.json")).json();
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
 * @param {string} name @param {{runs?: number, tell?: (what: string) => void}} [how]
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
  const token = await times(runs, () => perToken(subject, { prompt: SUBJECTS[name].question, adapter, maxTokens: 32 }));
  tell("moving a slider");
  const vector = new Float32Array(index.shape.d_model).fill(0.01);
  const step = await times(runs, (run) => {
    const edits = { steering: { vector, layer: index.shape.n_layers >> 1, scale: run / runs } };
    return subject.next({ prompt: prompts[0], adapter, edits }).then(() => {});
  });
  const memory = subject.memory / 1e6;
  subject.close();
  const limit = (/** @type {string} */ timed) => SUBJECTS[name].limits_ms[timed] ?? null;
  const row = (/** @type {string} */ what, /** @type {number[]} */ values, /** @type {string} */ timed) =>
    ({ what, unit: "ms", median: median(values), runs: values.length, limit: limit(timed) });
  return [
    row("load from the cache, with one adapter", cached, "cached"),
    row(`read a prompt of ${TOKENS} tokens`, prefill, "prefill"),
    row("each token of an answer", token, "token"),
    row("a slider step that touches the last token", step, "step"),
    { what: "memory of the runtime", unit: "MB", median: memory, runs: 1, limit: null },
  ];
}

/** Milliseconds until a reader who has nothing yet gets an answer. @param {string} name */
export async function firstAnswer(name) {
  const began = performance.now();
  const live = await import(new URL("client.js", ROOT).href);
  const subject = await live.openSubject(ROOT, name);
  await subject.answer({ prompt: SUBJECTS[name].question });
  return performance.now() - began;
}

/** Keep a subject with one adapter open and asked, so that its memory can be looked at. @param {string} name */
export async function hold(name) {
  const live = await import(new URL("client.js", ROOT).href);
  const index = await (await fetch(new URL(`subjects/${name}/index.json`, ROOT))).json();
  const subject = await live.openSubject(ROOT, name, { adapters: [index.adapters[0].name] });
  await subject.answer({ prompt: SUBJECTS[name].question });
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
for (const [name, { download_mb: size }] of Object.entries(SUBJECTS)) {
  const button = document.createElement("button");
  button.textContent = `Measure ${name}${size && size > 10 ? ` (loads about ${10 * Math.round(size / 10)} MB)` : ""}`;
  document.querySelector("#subjects")?.append(button);
  button.addEventListener("click", async () => {
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
