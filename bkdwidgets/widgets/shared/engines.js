/**
 * Who answers. A lab's view knows nothing of where an answer comes from; it asks a desk, and the desk
 * asks its engines in order:
 *
 *   table   precomputed answers that came with the page, at once; a choice may be missing
 *   kernel  Python, when one listens; any choice, in seconds
 *   browser the subject itself, when it is loaded into this page; any choice (see browser.js)
 *
 * An engine is `{ name, ready, find(choice), ask(choice) }`: `find` answers now or gives null, `ask` gives
 * a promise.
 *
 * @typedef {{text: string, outcome: string}} Said
 * @typedef {{engine: string, seconds?: number, perToken?: number | null, clean: Said | null, triggered: Said | null, rates?: any, counts?: any, from?: string}} Answer
 */

/** Read the table that came with the widget: gzipped JSON. @param {DataView | null} bytes */
export async function unpacked(bytes) {
  if (!bytes || !bytes.byteLength) throw new Error("the lab came without its table");
  if (typeof DecompressionStream === "undefined") throw new Error("this browser is too old to unpack the table (it needs DecompressionStream)");
  const part = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stream = new Blob([part]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** How long Python may be silent before a reader is told that it is busy with something else. */
export const SILENCE_MS = 700;
export const PYTHON_BUSY = "Python is busy, probably with a cell: this answer comes after it";

/** The line to Python on the other end of the widget, if somebody is there. */
export class KernelLine {
  /** @param {any} model @param {() => void} changed called when the kernel turns out to be there */
  constructor(model, changed) {
    this.name = "kernel";
    this.ready = false;
    this.model = model;
    this.changed = changed;
    this.count = 0;
    this.hear = (/** @type {any} */ message) => this.heard(message);
    model.on("msg:custom", this.hear);
  }

  /** Ask whether anybody listens; once whoever extends this is ready for the answer. */
  greet() {
    this.send({ bkd: "hello" });
  }

  close() {
    this.model.off("msg:custom", this.hear);
  }

  /** In a static page nobody listens, and some widget managers throw. @param {any} message */
  send(message) {
    try { this.model.send(message); } catch { this.ready = false; }
  }

  /**
   * Say so while Python is silent; whoever asks calls this once, and what it returns when Python has begun.
   * @param {(waits: boolean) => void} [onWait] @returns {() => void}
   */
  waiting(onWait) {
    let silent = false;
    const timer = setTimeout(() => { silent = true; onWait?.(true); }, SILENCE_MS);
    return () => { clearTimeout(timer); if (silent) onWait?.(false); silent = false; };
  }

  /** @param {any} message */
  heard(message) {
    if (message?.bkd !== "ready") return;
    this.ready = true;
    this.changed();
  }
}

/** Python's answers, one at a time. */
export class KernelEngine extends KernelLine {
  /** @param {any} model @param {() => void} changed */
  constructor(model, changed) {
    super(model, changed);
    /** @type {Map<string, Answer>} */
    this.known = new Map();
    /** @type {null | {id: number, key: string, begun: () => void, resolve: (answer: Answer) => void, reject: (error: Error) => void}} */
    this.request = null;
    /** @type {null | (() => void)} */
    this.next = null;
    this.greet();
  }

  /** @param {any} choice */
  find(choice) {
    return this.known.get(JSON.stringify(choice)) ?? null;
  }

  /**
   * One question at a time: while Python works, only the newest choice waits.
   * @param {any} choice @param {(waits: boolean) => void} [onWait] @returns {Promise<Answer>}
   */
  ask(choice, onWait) {
    return new Promise((resolve, reject) => {
      const start = () => {
        this.count += 1;
        this.request = { id: this.count, key: JSON.stringify(choice), begun: this.waiting(onWait), resolve, reject };
        this.send({ bkd: "ask", id: this.count, choice });
      };
      if (this.request) this.next = start;
      else start();
    });
  }

  /** @param {any} message */
  heard(message) {
    super.heard(message);
    if (this.request && message?.id === this.request.id) {
      const { key, begun, resolve, reject } = this.request;
      begun();
      if (message.bkd === "working") return;
      this.request = null;
      if (message.bkd === "answer") {
        this.known.clear(); // the model may have changed since it gave another answer
        this.known.set(key, { engine: "kernel", ...message.answer });
        resolve(this.known.get(key));
      } else reject(new Error(message.text || "the kernel could not answer"));
      const { next } = this;
      this.next = null;
      if (next) next();
    }
  }
}

/** Engines in the order they are asked. */
export class Desk {
  /** @param {any[]} engines */
  constructor(engines) {
    this.engines = engines;
  }

  /** @param {any} choice @returns {Answer | null} */
  find(choice) {
    for (const engine of this.engines) {
      const answer = engine.find(choice);
      if (answer) return answer;
    }
    return null;
  }

  /** Nobody waits for what was asked before. */
  stop() {
    for (const engine of this.engines) engine.stop?.();
  }

  /** An engine that can work out what nobody has at hand. */
  worker() {
    return this.engines.find((engine) => engine.ready && engine.ask) ?? null;
  }
}
