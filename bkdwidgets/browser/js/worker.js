/**
 * The Web Worker that holds one subject: it loads the parts, and answers one question at a time.
 *
 *   in   {id, method, what}   a question      {cancel: id}   stop that one
 *   out  {id, event}          on the way (progress, a token)
 *        {id, result} or {id, error: {name, message}}   once, at the end
 *
 * Everything lies beside this file: the page names the subject and its adapters, never an address.
 */

import { adapterEntry, fetched, loadPart, plantedParts, readIndex, tensorsOf } from "./parts.js";
import { openRuntime } from "./runtime.js";
import { Session } from "./session.js";
import { openTokenizer } from "./tokenizer.js";
import { Tokenizer } from "./tokenizers.min.js";

/**
 * @typedef {import("./parts.js").Index} Index
 * @typedef {import("./parts.js").AdapterEntry} AdapterEntry
 * @typedef {import("./parts.js").Part} Part
 * @typedef {{phase: string, loaded: number, total: number}} Progress what is done, in words, and bytes as they travel
 * @typedef {{means: Float32Array | null, vectors: Record<string, Float32Array>}} Extras
 * @typedef {{signal: AbortSignal, tell: (event: any) => void}} How
 * @typedef {{index: Index, runtime: import("./runtime.js").Runtime, session: Session}} Subject
 */

const PHASES = { download: "fetching", cache: "reading what this browser keeps", start: "starting" };

/** @type {Subject | null} */
let subject = null;
/** @type {Map<string, Extras>} */
const extras = new Map(); // of the adapters that are loaded
/** @type {Map<number, AbortController>} */
const stops = new Map();
let turn = Promise.resolve();

self.onmessage = ({ data }) => {
  if ("cancel" in data) {
    stops.get(data.cancel)?.abort();
    return;
  }
  const stop = new AbortController();
  stops.set(data.id, stop);
  turn = turn.then(() => served(data, stop.signal));
};

/** @param {{id: number, method: string, what: any}} question @param {AbortSignal} signal */
async function served({ id, method, what }, signal) {
  try {
    signal.throwIfAborted();
    const result = await METHODS[method](what, { signal, tell: (event) => self.postMessage({ id, event }) });
    self.postMessage({ id, result });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    self.postMessage({ id, error: { name, message: message.split("\n")[0] } });
  } finally {
    stops.delete(id);
  }
}

/** @type {Record<string, (what: any, how: How) => any>} */
const METHODS = {
  open,
  answer: (what, { signal, tell }) => opened().session.answer(what, async (token) => {
    tell(token);
    await breath();
    signal.throwIfAborted();
  }),
  next: (what) => opened().session.next(what),
  probability: (what) => opened().session.probability(what),
  attention: (what) => opened().session.attention(what),
  capture: (what) => opened().session.capture(what),
};

function opened() {
  if (!subject) throw new Error("the model is not loaded");
  return subject;
}

/**
 * Load the subject, if it is not there yet, and those of the adapters that are not.
 * @param {{name: string, adapters: string[]}} what @param {How} how
 */
async function open({ name, adapters }, { signal, tell }) {
  const folder = new URL(`subjects/${encodeURIComponent(name)}/`, self.location.href);
  const index = subject?.index ?? await readIndex(folder, name, { signal });
  const entries = [...new Set(adapters)].map((one) => adapterEntry(index, one)).filter((entry) => !extras.has(entry.name));
  const parts = [...(subject ? [] : [index.tokenizer, ...index.base.parts]), ...entries.flatMap(plantedParts)];
  const load = loader(folder, parts, { signal, tell });
  subject ??= await openBase(index, load, signal);
  for (const entry of entries) extras.set(entry.name, await openAdapter(entry, load));
  return { shape: index.shape, adapters: index.adapters.map(described), extras: Object.fromEntries(extras), memory: subject.runtime.bytes };
}

/** Load parts and tell how far all of them together are. @param {URL} folder @param {Part[]} parts @param {How} how */
function loader(folder, parts, { signal, tell }) {
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  let before = 0;
  return async (/** @type {Part} */ part) => {
    const bytes = await loadPart(folder, part, { signal, onBytes: (stored, from) => tell({ phase: PHASES[from], loaded: before + stored, total }) });
    before += part.bytes;
    if (before === total) tell({ phase: PHASES.start, loaded: total, total });
    return bytes;
  };
}

/**
 * @param {Index} index @param {(part: Part) => Promise<Uint8Array>} load @param {AbortSignal} signal
 * @returns {Promise<Subject>}
 */
async function openBase(index, load, signal) {
  const wasm = await fetched(new URL("runtime.wasm", self.location.href), "the runtime", { signal });
  const runtime = await openRuntime(await wasm.arrayBuffer(), index.shape);
  const tokenizer = openTokenizer(Tokenizer, await load(index.tokenizer));
  for await (const { tensor, bytes } of tensorsOf(index.base, load)) runtime.loadTensor(tensor.name, tensor, bytes);
  runtime.seal();
  const session = new Session(runtime, tokenizer, { chat: index.chat, endOfTurn: index.end_of_turn });
  return { index, runtime, session };
}

/** @param {AdapterEntry} entry @param {(part: Part) => Promise<Uint8Array>} load @returns {Promise<Extras>} */
async function openAdapter({ name, layout, parts, scale }, load) {
  const { tensors, extras: beside } = JSON.parse(new TextDecoder().decode(await load(layout)));
  const read = [];
  for await (const { tensor, bytes } of tensorsOf({ parts, tensors: [...tensors, ...beside] }, load)) read.push({ ...tensor, bytes: bytes.slice() });
  opened().runtime.addAdapter(name, { scale, tensors: read.slice(0, tensors.length) });
  const floats = new Map(read.slice(tensors.length).map((tensor) => [tensor.name, new Float32Array(tensor.bytes.buffer)]));
  const vectors = [...floats].filter(([key]) => key.startsWith("vector.")).map(([key, values]) => [key.slice("vector.".length), values]);
  return { means: floats.get("means") ?? null, vectors: Object.fromEntries(vectors) };
}

/** What the page may know of an adapter: all but where its tensors lie. @param {AdapterEntry} entry */
function described({ layout: _layout, parts: _parts, ...rest }) {
  return rest;
}

/** Let a message in: while a run computes, nobody can say "cancel". */
const pause = new MessageChannel();
function breath() {
  return new Promise((done) => {
    pause.port1.onmessage = done;
    pause.port2.postMessage(null);
  });
}
