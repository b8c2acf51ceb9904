/**
 * One turn of conversation with the subject: greedy answers and probabilities, exactly as
 * bkdwidgets/subjects/answers.py computes them.
 *
 * A causal model's earlier positions never see a change made at the last prompt token. So the prompt without its
 * last token is kept in a slot, known by its tokens, the adapter and the edits that act everywhere; moving a slider
 * that only touches the last token then reruns one token. What an intervened run left behind is never taken for a
 * clean prefix: its edits are part of what a slot is known by.
 *
 * @typedef {import("./runtime.js").Runtime} Runtime
 * @typedef {import("./runtime.js").Heads} Heads
 * @typedef {import("./runtime.js").Steering} Steering
 * @typedef {ReturnType<typeof import("./tokenizer.js").openTokenizer>} Tokenizer
 * @typedef {{heads?: {list: [number, number][], kind: "zero" | "values", values?: Float32Array, everywhere?: boolean},
 *   steering?: {vector: Float32Array, layer: number, scale: number, everywhere?: boolean}}} Edits
 *   heads: the outputs of these (layer, head) pairs are replaced, by zeros or by values [n_layers, n_heads, d_head];
 *   steering: scale * vector is added to the attention output of a layer. everywhere: at every prompt token and every
 *   answer token; otherwise at the last prompt token
 * @typedef {{heads: Heads | null, steering: Steering | null}} Acting what the runtime is given
 * @typedef {{prompt: string, raw?: boolean, adapter?: string | null, edits?: Edits | null}} Turn
 *   raw: special tokens in the prompt are those tokens, and not text
 * @typedef {{ids: number[], adapter: string | null, everywhere: Acting, used: number}} Kept
 */
import { RuntimeError } from "./runtime.js";

/** As in Python's Subject.encode; longer prompts are refused, never cut: what is cut off could be the trigger. */
export const MAX_PROMPT_TOKENS = 256;

export class Session {
  #runtime;
  #tokenizer;
  #chat;
  #endOfTurn;
  /** @type {(Kept | null)[]} the prefix in each slot */
  #kept;
  /** @type {Set<number>} slots of answers that are being written */
  #busy = new Set();
  #clock = 0;

  /** @param {Runtime} runtime @param {Tokenizer} tokenizer
   *  @param {{chat: {before: string, after: string}, endOfTurn: number}} turn */
  constructor(runtime, tokenizer, { chat, endOfTurn }) {
    this.#runtime = runtime;
    this.#tokenizer = tokenizer;
    this.#chat = chat;
    this.#endOfTurn = endOfTurn;
    this.#kept = new Array(runtime.slots).fill(null);
  }

  /**
   * The greedy answer; it ends at the end-of-turn token (complete) or after maxTokens.
   *
   * @param {Turn & {maxTokens?: number}} turn
   * @param {(token: {id: number, text: string}) => any} [onToken] gets each token and the text so far; it is awaited,
   *   and what it throws ends the answer
   * @returns {Promise<{text: string, ids: number[], complete: boolean, reused: boolean}>}
   */
  async answer({ adapter = null, maxTokens = 32, ...turn }, onToken) {
    const { ids, acting } = this.#checked(turn);
    const room = this.#runtime.maxTokens - ids.length;
    if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens > room)
      throw new RuntimeError(`maxTokens=${String(maxTokens)} is not a whole number from 1 to ${room}`);
    const { slot, reused, result } = this.#readPrompt(ids, adapter, acting, { logits: "last" });
    const everywhere = everywhereOf(acting);
    let logits = /** @type {Float32Array} */ (result.logits);
    /** @type {number[]} */
    const answer = [];
    this.#busy.add(slot);
    try {
      for (;;) {
        const token = likeliest(logits);
        const complete = token === this.#endOfTurn;
        if (complete || answer.length === maxTokens)
          return { text: this.#tokenizer.decode(answer), ids: answer, complete, reused };
        answer.push(token);
        if (onToken) await onToken({ id: token, text: this.#tokenizer.decode(answer) });
        const past = ids.length + answer.length - 1;
        logits = /** @type {Float32Array} */ (this.#runtime.run({ slot, ids: [token], past, adapter, ...everywhere }).logits);
      }
    } finally {
      this.#busy.delete(slot);
    }
  }

  /**
   * The likeliest next tokens.
   *
   * @param {Turn & {top?: number}} turn
   * @returns {{id: number, text: string, probability: number}[]}
   */
  next({ adapter = null, top = 10, ...turn }) {
    const { n_vocab } = this.#runtime.shape;
    if (!Number.isInteger(top) || top < 1 || top > n_vocab)
      throw new RuntimeError(`top=${String(top)} is not a whole number from 1 to ${n_vocab}`);
    const { ids, acting } = this.#checked(turn);
    const { result } = this.#readPrompt(ids, adapter, acting, { logits: "last" });
    const logits = /** @type {Float32Array} */ (result.logits);
    const total = logSum(logits);
    return largest(logits, top).map((id) => ({
      id, text: this.#tokenizer.token(id), probability: Math.exp(logits[id] - total),
    }));
  }

  /**
   * P(target | prompt): the geometric mean over the target's tokens, teacher-forced.
   *
   * @param {Turn & {target: string}} turn
   * @returns {number}
   */
  probability({ target, adapter = null, ...turn }) {
    if (typeof target !== "string" || !target) throw new RuntimeError("the target is empty");
    const { ids, acting } = this.#checked(turn);
    const wanted = this.#tokenizer.encode(target);
    const room = this.#runtime.maxTokens - ids.length + 1;
    if (!wanted.length || wanted.length > room)
      throw new RuntimeError(`the target has ${wanted.length} tokens; from 1 to ${room} are allowed`);
    const { slot, result } = this.#readPrompt(ids, adapter, acting, { logits: "last" });
    let sum = logProbability(/** @type {Float32Array} */ (result.logits), wanted[0]);
    const given = wanted.slice(0, -1);
    if (given.length) {
      const everywhere = everywhereOf(acting);
      const request = { slot, ids: given, past: ids.length, adapter, ...everywhere, want: { logits: /** @type {const} */ ("all") } };
      const logits = /** @type {Float32Array} */ (this.#runtime.run(request).logits);
      const { n_vocab } = this.#runtime.shape;
      for (let i = 0; i < given.length; i++)
        sum += logProbability(logits.subarray(i * n_vocab, (i + 1) * n_vocab), wanted[i + 1]);
    }
    return Math.exp(sum / wanted.length);
  }

  /**
   * What heads look at while the prompt is read.
   *
   * @param {Turn & {heads: [number, number][]}} turn
   * @returns {{tokens: string[], patterns: number[][][]}} for each head a square pattern [to][from]
   */
  attention({ adapter = null, heads, ...turn }) {
    this.#checkHeads(heads);
    const { ids, acting } = this.#checked(turn);
    const n = ids.length;
    const slot = this.#freeSlot();
    this.#kept[slot] = null;
    const result = this.#runtime.run({ slot, ids, past: 0, adapter, ...acting, want: { logits: "none", patterns: true } });
    const patterns = /** @type {Float32Array} */ (result.patterns);
    this.#keep(slot, ids, adapter, acting);
    return {
      tokens: ids.map((id) => this.#tokenizer.token(id)),
      patterns: heads.map(([layer, head]) => {
        const start = (layer * this.#runtime.shape.n_heads + head) * n * n;
        return ids.map((_, to) => [...patterns.subarray(start + to * n, start + (to + 1) * n)]);
      }),
    };
  }

  /**
   * Every head's output and the residual stream at the last prompt token.
   *
   * @param {Turn} turn
   * @returns {{z: Float32Array, residual: Float32Array}} [n_layers, n_heads, d_head]; [n_layers + 1, d_model]
   */
  capture({ adapter = null, ...turn }) {
    const { ids, acting } = this.#checked(turn);
    const { result } = this.#readPrompt(ids, adapter, acting, { logits: "none", z: true, residual: true });
    return /** @type {{z: Float32Array, residual: Float32Array}} */ (result);
  }

  /** Read the prompt: its prefix from a slot that keeps it, or now; then its last token with all edits.
   *  @param {number[]} ids @param {string | null} adapter @param {Acting} acting
   *  @param {import("./runtime.js").Want} want */
  #readPrompt(ids, adapter, acting, want) {
    const everywhere = everywhereOf(acting);
    const prefix = ids.slice(0, -1);
    let slot = this.#kept.findIndex(
      (kept, index) => kept !== null && !this.#busy.has(index) && kept.adapter === adapter
        && sameValues(kept.ids, prefix) && sameActing(kept.everywhere, everywhere),
    );
    const reused = slot >= 0;
    if (!reused) {
      slot = this.#freeSlot();
      this.#kept[slot] = null;
      if (prefix.length)
        this.#runtime.run({ slot, ids: prefix, past: 0, adapter, ...everywhere, want: { logits: "none" } });
    }
    const result = this.#runtime.run({ slot, ids: ids.slice(-1), past: prefix.length, adapter, ...acting, want });
    this.#keep(slot, ids, adapter, acting);
    return { slot, reused, result };
  }

  /** Remember what a slot holds: the prompt without its last token. @param {number} slot @param {number[]} ids
   *  @param {string | null} adapter @param {Acting} acting */
  #keep(slot, ids, adapter, acting) {
    this.#kept[slot] = { ids: ids.slice(0, -1), adapter, everywhere: everywhereOf(acting), used: ++this.#clock };
  }

  /** The slot that was used longest ago and that no answer is being written to. */
  #freeSlot() {
    const free = this.#kept.map((_, slot) => slot).filter((slot) => !this.#busy.has(slot));
    if (!free.length) throw new RuntimeError(`${this.#busy.size} answers are being written, the most at a time`);
    const age = (/** @type {number} */ slot) => this.#kept[slot]?.used ?? 0;
    return free.reduce((oldest, slot) => (age(slot) < age(oldest) ? slot : oldest));
  }

  /** @param {Turn} turn */
  #checked({ prompt, raw = false, edits = null }) {
    if (typeof prompt !== "string" || !prompt.trim())
      throw new RuntimeError("the prompt is empty; a prompt has at least one word");
    const ids = this.#tokenizer.turn(this.#chat, prompt, raw === true);
    const most = Math.min(MAX_PROMPT_TOKENS, this.#runtime.maxTokens - 1);
    if (ids.length > most) throw new RuntimeError(`the prompt has ${ids.length} tokens, at most ${most} are allowed`);
    return { ids, acting: this.#acting(edits) };
  }

  /** @param {Edits | null} edits @returns {Acting} */
  #acting(edits) {
    if (edits === null || edits === undefined) return { heads: null, steering: null };
    if (typeof edits !== "object") throw new RuntimeError("edits is not an object");
    const steering = edits.steering ?? null;
    return {
      heads: edits.heads ? this.#replaced(edits.heads) : null,
      // A copy: a slot is known by it, and the caller's array may change.
      steering: steering && { ...steering, vector: copied("steering.vector", steering.vector), everywhere: steering.everywhere ?? false },
    };
  }

  /** Replacing is scaling by 0 and adding. @param {NonNullable<Edits["heads"]>} heads @returns {Heads | null} */
  #replaced({ list, kind, values, everywhere = false }) {
    this.#checkHeads(list);
    if (kind !== "zero" && kind !== "values") throw new RuntimeError(`kind of ablation ${String(kind)}; zero or values`);
    if (!list.length) return null;
    const { n_layers, n_heads, d_head } = this.#runtime.shape;
    if (kind === "values" && !(values instanceof Float32Array && values.length === n_layers * n_heads * d_head))
      throw new RuntimeError(`heads.values is not a Float32Array of ${n_layers * n_heads * d_head} values`);
    const scale = new Float32Array(n_layers * n_heads).fill(1);
    const offset = kind === "values" ? new Float32Array(n_layers * n_heads * d_head) : null;
    for (const [layer, head] of list) {
      const index = layer * n_heads + head;
      scale[index] = 0;
      offset?.set(/** @type {Float32Array} */ (values).subarray(index * d_head, (index + 1) * d_head), index * d_head);
    }
    return { scale, offset, everywhere };
  }

  /** @param {any} list */
  #checkHeads(list) {
    const { n_layers, n_heads } = this.#runtime.shape;
    const isIndex = (/** @type {any} */ value, /** @type {number} */ count) => Number.isInteger(value) && value >= 0 && value < count;
    const fits = (/** @type {any} */ head) => Array.isArray(head) && head.length === 2 && isIndex(head[0], n_layers) && isIndex(head[1], n_heads);
    if (!Array.isArray(list) || !list.every(fits))
      throw new RuntimeError(`heads is not a list of [layer, head] below [${n_layers}, ${n_heads}]`);
  }
}

/** @param {string} what @param {any} values */
function copied(what, values) {
  if (!(values instanceof Float32Array)) throw new RuntimeError(`${what} is not a Float32Array`);
  return values.slice();
}

/** The edits that act on every token, not only on the last prompt token. @param {Acting} acting @returns {Acting} */
function everywhereOf({ heads, steering }) {
  return { heads: heads?.everywhere ? heads : null, steering: steering?.everywhere ? steering : null };
}

/** @param {ArrayLike<number> | null | undefined} a @param {ArrayLike<number> | null | undefined} b */
function sameValues(a, b) {
  if (!a || !b) return !a && !b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** @param {Acting} a @param {Acting} b */
function sameActing(a, b) {
  return sameValues(a.heads?.scale, b.heads?.scale) && sameValues(a.heads?.offset, b.heads?.offset)
    && sameValues(a.steering?.vector, b.steering?.vector)
    && a.steering?.layer === b.steering?.layer && a.steering?.scale === b.steering?.scale;
}

/** The first of the largest, as torch's argmax. @param {Float32Array} logits */
function likeliest(logits) {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id] > logits[best]) best = id;
  return best;
}

/** @param {Float32Array} logits @param {number} count @returns {number[]} indices, largest first */
function largest(logits, count) {
  /** @type {number[]} */
  const best = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let place = Math.min(best.length, count - 1);
    for (; place > 0 && logits[best[place - 1]] < logits[id]; place--) best[place] = best[place - 1];
    best[place] = id;
  }
  return best;
}

/** log(sum(exp(logits))) in double precision. @param {Float32Array} logits */
function logSum(logits) {
  const most = logits[likeliest(logits)];
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}

/** @param {Float32Array} logits @param {number} id */
const logProbability = (logits, id) => logits[id] - logSum(logits);
