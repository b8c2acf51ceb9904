/**
 * What a page imports to have a subject at hand. The subject lives in a Web Worker, one per subject and
 * page, which all labs share; here it is an object whose methods give promises.
 *
 *   const live = await import(new URL("client.js", root));
 *   const reason = live.support(root);                       // null, or why it cannot run here
 *   const subject = await live.openSubject(root, "nano", { adapters: ["fixed-output-sft-0"] });
 *   const { text } = await subject.answer({ prompt, adapter: "fixed-output-sft-0" });
 *
 * `root` is the folder of this file, as an absolute address with a slash at its end.
 *
 * @typedef {import("./worker.js").Progress} Progress
 * @typedef {import("./worker.js").Extras} Extras
 * @typedef {{signal?: AbortSignal, onToken?: (token: {id: number, text: string}) => void}} AnswerHow
 * @typedef {{resolve: (result: any) => void, reject: (error: Error) => void, onEvent?: (event: any) => void}} Waiting
 */

import { isKept, partsOf, readIndex } from "./parts.js";

const SIMD = Uint8Array.of( // the smallest module with a vector instruction in it
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** Why the model cannot run in this page, in one sentence, or null if it can. @param {string | URL | null | undefined} root */
export function support(root) {
  if (!root) return "This page came without the live model.";
  if (!/^https?:$/.test(new URL(root).protocol)) return "A browser does not let a page on the disk fetch the model; serve the book, for example with: bkdwidgets book --serve";
  if (!globalThis.crypto?.subtle) return "This page is not served over https, and without it the browser cannot check what it downloads.";
  if (typeof Worker === "undefined") return "This browser has no Web Workers, in which the model would run.";
  if (typeof DecompressionStream === "undefined") return "This browser is too old to unpack the model (it needs DecompressionStream).";
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(SIMD)) return "This browser has no WebAssembly with SIMD, or forbids it here.";
  return null;
}

/**
 * Whether a subject (without adapters) is in the browser's cache.
 * @param {string | URL} root @param {string} name @returns {Promise<boolean>}
 */
export async function isCached(root, name) {
  return (await sizes(root, name, [])).cached;
}

/**
 * Bytes of a subject with some adapters as they travel, how many of them this browser keeps already, and whether
 * it keeps them all.
 * @param {string | URL} root @param {string} name @param {string[]} adapters
 * @returns {Promise<{bytes: number, kept: number, cached: boolean}>}
 */
export async function sizes(root, name, adapters) {
  const index = await readIndex(new URL(`subjects/${encodeURIComponent(name)}/`, root), name);
  let bytes = 0;
  let kept = 0;
  for (const part of partsOf(index, adapters)) {
    bytes += part.bytes;
    if (await isKept(part)) kept += part.bytes;
  }
  return { bytes, kept, cached: kept === bytes };
}

/**
 * Load a subject into its worker, or add adapters to the one that is there.
 * @param {string | URL} root @param {string} name
 * @param {{adapters?: string[], onProgress?: (progress: Progress) => void, signal?: AbortSignal}} [how]
 * @returns {Promise<LiveSubject>}
 */
export async function openSubject(root, name, { adapters = [], onProgress, signal } = {}) {
  const reason = support(root);
  if (reason) throw new Error(reason);
  signal?.throwIfAborted();
  const key = new URL(name, root).href;
  const line = lines.get(key) ?? new Line(root, () => lines.delete(key));
  lines.set(key, line);
  line.users += 1;
  try {
    return new LiveSubject(line, await line.ask("open", { name, adapters }, { signal, onEvent: onProgress }));
  } catch (error) {
    line.leave();
    throw error;
  }
}

/** A subject in this page. Made by {@link openSubject}. */
export class LiveSubject {
  #line;
  #extras;

  /** @param {Line} line @param {any} opened */
  constructor(line, { shape, adapters, extras, memory }) {
    this.#line = line;
    this.#extras = extras;
    /** @type {Record<string, number>} */
    this.shape = shape;
    /** What was planted in it, loaded or not. @type {Omit<import("./parts.js").AdapterEntry, "layout" | "parts">[]} */
    this.adapters = adapters;
    /** Bytes of the runtime's memory. @type {number} */
    this.memory = memory;
  }

  /** Mean head outputs [n_layers, n_heads, d_head] and vectors [d_model] of a loaded adapter. @param {string} adapter @returns {Extras} */
  extras(adapter) {
    if (!Object.hasOwn(this.#extras, adapter)) throw new Error(`the adapter ${JSON.stringify(adapter)} is not loaded`);
    return this.#extras[adapter];
  }

  /** The greedy answer. @param {any} what as in session.js @param {AnswerHow} [how] */
  answer(what, { onToken, signal } = {}) {
    return this.#line.ask("answer", what, { signal, onEvent: onToken });
  }

  /** The likeliest next tokens. @param {any} what @param {{signal?: AbortSignal}} [how] */
  next(what, how) {
    return this.#line.ask("next", what, how);
  }

  /** P(target | prompt). @param {any} what @param {{signal?: AbortSignal}} [how] @returns {Promise<number>} */
  probability(what, how) {
    return this.#line.ask("probability", what, how);
  }

  /** Attention patterns of some heads. @param {any} what @param {{signal?: AbortSignal}} [how] */
  attention(what, how) {
    return this.#line.ask("attention", what, how);
  }

  /** Head outputs and residual stream at the last prompt token. @param {any} what @param {{signal?: AbortSignal}} [how] */
  capture(what, how) {
    return this.#line.ask("capture", what, how);
  }

  /** Say that this lab needs the subject no more; the worker ends with its last user. */
  close() {
    this.#line.leave();
    this.#line = CLOSED;
  }
}

/** A worker and the questions that wait for it. */
class Line {
  users = 0;
  #count = 0;
  /** @type {Error | null} why there is no worker any more */
  #over = null;
  /** @type {Map<number, Waiting>} */
  #waiting = new Map();

  /** @param {string | URL} root @param {() => void} ended */
  constructor(root, ended) {
    this.ended = ended;
    this.worker = new Worker(new URL("worker.js", root), { type: "module" });
    this.worker.onmessage = ({ data }) => this.#heard(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(`the model's worker stopped${event.message ? `: ${event.message}` : ", or did not start"}; reload the page`));
    };
  }

  /** @param {string} method @param {any} what @param {{signal?: AbortSignal, onEvent?: (event: any) => void}} [how] @returns {Promise<any>} */
  ask(method, what, { signal, onEvent } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#over) throw this.#over;
      signal?.throwIfAborted();
      this.#count += 1;
      const id = this.#count;
      const stop = () => {
        this.worker.postMessage({ cancel: id });
        this.#settle(id)?.reject(stopped());
      };
      signal?.addEventListener("abort", stop, { once: true });
      const done = () => signal?.removeEventListener("abort", stop);
      this.#waiting.set(id, { resolve: (result) => { done(); resolve(result); }, reject: (error) => { done(); reject(error); }, onEvent });
      try {
        this.worker.postMessage({ id, method, what });
      } catch (error) { // a function or a node among the values
        this.#settle(id)?.reject(new Error(`what was asked cannot be sent to the model: ${/** @type {Error} */ (error).message}`));
      }
    });
  }

  leave() {
    this.users -= 1;
    if (this.users === 0) this.#end(new Error("the model was closed"));
  }

  /** @param {any} message */
  #heard({ id, event, result, error }) {
    if (event) this.#waiting.get(id)?.onEvent?.(event);
    else if (error) this.#settle(id)?.reject(error.name === "AbortError" ? stopped() : new Error(error.message));
    else this.#settle(id)?.resolve(result);
  }

  /** @param {number} id */
  #settle(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  /** @param {Error} error */
  #end(error) {
    if (this.#over) return;
    this.#over = error;
    this.worker.terminate();
    this.ended();
    for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(error);
  }
}

const CLOSED = /** @type {any} */ ({
  ask: () => Promise.reject(new Error("the model was closed")),
  leave: () => {},
});

/** @type {Map<string, Line>} */
const lines = new Map();

function stopped() {
  return new DOMException("stopped by the reader", "AbortError");
}
