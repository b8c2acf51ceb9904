/**
 * Who plays: the subject in this page, or Python. Both are given the same choice and report in the same way:
 * the likeliest first tokens, then the answer as it grows, then that it is done.
 *
 * @typedef {{text: string, probability: number}} Likely
 * @typedef {{onNext: (tokens: Likely[]) => void, onText: (text: string) => void, signal: AbortSignal, onWait?: (waits: boolean) => void}} Listening
 * @typedef {{complete: boolean, perToken: number | null, seconds: number}} Done
 */

import { KernelLine } from "../shared/engines.js";
import { pace } from "../shared/page_engine.js";

/** The subject that a loader has loaded into this page. */
export class PagePlayer {
  /** @param {() => SwitchingLoader} loader the loader of the subject that is chosen now @param {number} tokens after which an answer is cut */
  constructor(loader, tokens) {
    this.name = "browser";
    this.loader = loader;
    this.tokens = tokens;
  }

  get ready() {
    return this.loader().ready;
  }

  /** @param {any} choice @param {Listening} listening @returns {Promise<Done>} */
  async play(choice, { onNext, onText, signal }) {
    const { live } = this.loader();
    const turn = { prompt: choice.prompt, adapter: choice.model === "clean" ? choice.clean : choice.adapter, edits: await editsFor(live, choice) };
    onNext(await live.next({ ...turn, top: 10 }, { signal }));
    signal.throwIfAborted();
    const began = performance.now();
    let [tokens, first, last] = [0, 0, 0];
    const onToken = (/** @type {{text: string}} */ { text }) => {
      tokens += 1;
      last = performance.now();
      first ||= last;
      if (!signal.aborted) onText(text);
    };
    const { text, complete } = await live.answer({ ...turn, maxTokens: this.tokens }, { onToken, signal });
    signal.throwIfAborted();
    onText(text);
    return { complete, perToken: pace(tokens - 1, last - first), seconds: (performance.now() - began) / 1000 };
  }
}

/** A choice as edits of a loaded subject. The means and vectors are the backdoored model's, for either model. @param {any} live @param {any} choice */
export async function editsFor(live, { adapter, heads, kind, where, vector, layer, scale }) {
  const everywhere = where === "all";
  const edits = {};
  const { means, vectors } = (heads.length && kind === "mean") || vector ? (await live.extras(adapter)) ?? {} : {};
  if (heads.length) edits.heads = kind === "mean" ? { list: heads, kind: "values", values: known(means, "means"), everywhere } : { list: heads, kind: "zero", everywhere };
  if (vector) edits.steering = { vector: known(vectors?.[vector], `${vector} vector`), layer, scale, everywhere };
  return heads.length || vector ? edits : null;
}

/** @param {any} value @param {string} what */
export function known(value, what) {
  if (!value) throw new Error(`this page has no ${what} of this model`);
  return value;
}

/** Python at the other end of the widget. */
export class KernelPlayer extends KernelLine {
  /** @param {any} model @param {() => void} changed called when Python says that it is there */
  constructor(model, changed) {
    super(model, changed);
    /** @type {null | {id: number, listening: Listening, begun: () => void, began: number, tokens: number, first: number, last: number, resolve: (done: Done) => void, reject: (error: Error) => void}} */
    this.request = null;
    /** @type {Map<number, {resolve: (text: string) => void, reject: (error: Error) => void}>} */
    this.poisoning = new Map();
    this.greet();
  }

  /** A prompt with the trigger in it. @param {string} prompt @returns {Promise<string>} */
  poisoned(prompt) {
    return new Promise((resolve, reject) => {
      this.count += 1;
      this.poisoning.set(this.count, { resolve, reject });
      this.send({ bkd: "poison", id: this.count, prompt });
    });
  }

  /** @param {any} choice @param {Listening} listening @returns {Promise<Done>} */
  play(choice, listening) {
    return new Promise((resolve, reject) => {
      this.count += 1;
      const id = this.count;
      this.request = { id, listening, begun: this.waiting(listening.onWait), began: performance.now(), tokens: 0, first: 0, last: 0, resolve, reject };
      listening.signal.addEventListener("abort", () => {
        if (this.request?.id === id) { this.request.begun(); this.request = null; }
        this.send({ bkd: "cancel", id });
        reject(listening.signal.reason);
      }, { once: true });
      this.send({ bkd: "ask", id, choice });
    });
  }

  /** @param {any} message */
  heard(message) {
    super.heard(message);
    const waiting = this.poisoning.get(message?.id);
    if (waiting) {
      this.poisoning.delete(message.id);
      if (message.bkd === "poisoned") waiting.resolve(message.text);
      else waiting.reject(new Error(message.text || "the kernel could not insert the trigger"));
    }
    if (!this.request || message?.id !== this.request.id) return;
    const { listening, begun, began, resolve, reject } = this.request;
    begun();
    if (message.bkd === "working") this.request.began = performance.now();
    else if (message.bkd === "next") listening.onNext(message.tokens.map((/** @type {[string, number]} */ [text, probability]) => ({ text, probability })));
    else if (message.bkd === "token") {
      this.request.tokens += 1;
      this.request.last = performance.now();
      this.request.first ||= this.request.last;
      listening.onText(message.text);
    }
    else {
      const seconds = (performance.now() - began) / 1000;
      const { tokens, first, last } = this.request;
      this.request = null;
      if (message.bkd === "answer") resolve({ complete: message.complete, perToken: pace(tokens - 1, last - first), seconds });
      else reject(new Error(message.text || "the kernel could not answer"));
    }
  }
}
