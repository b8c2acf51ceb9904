/**
 * The interface of the WebAssembly runtime (../runtime/runtime.h): everything that comes in is checked here, once, and
 * refused by a RuntimeError that names the value; the runtime checks its own bounds again.
 *
 * @typedef {import("./checks.js").Shape} Shape
 * @typedef {{scale: Float32Array, offset: Float32Array | null, everywhere: boolean}} Heads
 *   z' = scale * z + offset; scale [n_layers, n_heads], offset [n_layers, n_heads, d_head]
 * @typedef {{vector: Float32Array, layer: number, scale: number, everywhere: boolean}} Steering
 * @typedef {{logits?: "none" | "last" | "all", patterns?: boolean, z?: boolean, residual?: boolean}} Want
 * @typedef {{slot: number, ids: ArrayLike<number>, past: number, adapter?: string | null, heads?: Heads | null,
 *   steering?: Steering | null, want?: Want}} Request
 * @typedef {{logits?: Float32Array, patterns?: Float32Array, z?: Float32Array, residual?: Float32Array}} Result
 *   logits [1 or n, n_vocab], patterns [n_layers, n_heads, n, past + n]; z [n_layers, n_heads, d_head] and residual
 *   [n_layers + 1, d_model] of the last token
 */

import { MOST, RuntimeError, checkFloats, checkedShape, finite, show, wholeNumber, yesOrNo } from "./checks.js";
import * as C from "./constants.js";
import { BLOCK, FORMATS, checkMatrix, floatsOf, halves, transpose } from "./tensors.js";

export { RuntimeError } from "./checks.js";

const TOP = { embed: C.EMBED, unembed: C.UNEMBED, norm: C.NORM };
const PER_LAYER = {
  input_norm: C.INPUT_NORM, post_norm: C.POST_NORM, q: C.Q, k: C.K, v: C.V, o: C.O, gate: C.GATE, up: C.UP, down: C.DOWN,
};
const PROJECTIONS = [
  "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
  "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
];
const IN = {
  ids: C.IN_IDS, headScale: C.IN_HEAD_SCALE, headOffset: C.IN_HEAD_OFFSET, steering: C.IN_STEERING, cos: C.IN_COS, sin: C.IN_SIN,
};
const OUT = { logits: C.OUT_LOGITS, patterns: C.OUT_PATTERNS, z: C.OUT_Z, residual: C.OUT_RESIDUAL };
/** @type {Record<number, string>} */
const REASONS = {
  [C.BAD_SHAPE]: "a shape this runtime cannot hold",
  [C.BAD_ARGUMENT]: "a value outside its range",
  [C.OUT_OF_MEMORY]: "the browser gives no more memory",
  [C.NOT_READY]: "a call out of order",
  [C.ALREADY_THERE]: "it is there already",
  [C.NOT_FINITE]: "a value is infinite or not a number",
};

/**
 * Start the runtime for one subject; load its tensors, then seal it.
 *
 * @param {BufferSource | WebAssembly.Module} wasm
 * @param {Shape} shape
 * @param {{maxTokens?: number, slots?: number}} [options] longest text a slot keeps, and how many slots
 * @returns {Promise<Runtime>}
 */
export async function openRuntime(wasm, shape, options) {
  const { maxTokens = 384, slots = 4 } = options ?? {};
  const checked = checkedShape(shape);
  wholeNumber("maxTokens", maxTokens, 1, MOST.maxTokens);
  wholeNumber("slots", slots, 1, MOST.slots);
  let made;
  try {
    made = await WebAssembly.instantiate(/** @type {any} */ (wasm), {});
  } catch (error) {
    throw new RuntimeError(`the runtime does not start in this browser: ${/** @type {Error} */ (error).message}`);
  }
  const exports = /** @type {any} */ ("instance" in made ? made.instance : made).exports;
  if (typeof exports.model_open !== "function") throw new RuntimeError("the WebAssembly given is not the runtime");
  return new Runtime(exports, checked, maxTokens, slots);
}

/** One subject in WebAssembly memory. Made by {@link openRuntime}. */
export class Runtime {
  #wasm;
  #sealed = false;
  /** @type {Set<string>} */
  #loaded = new Set();
  /** @type {Map<string, number>} */
  #adapters = new Map();
  /** @type {number[]} */
  #held;

  /** @param {any} wasm @param {Shape} shape @param {number} maxTokens @param {number} slots */
  constructor(wasm, shape, maxTokens, slots) {
    this.#wasm = wasm;
    this.shape = shape;
    this.maxTokens = maxTokens;
    this.slots = slots;
    this.#held = new Array(slots).fill(0);
    const s = shape;
    const status = wasm.model_open(
      s.n_layers, s.n_heads, s.n_kv_heads, s.d_head, s.d_model, s.d_ff, s.n_vocab, s.rms_eps, maxTokens, slots,
    );
    expect(status, "opening the model");
    this.#writeAngles();
  }

  /** Bytes of WebAssembly memory in use. */
  get bytes() {
    return this.#wasm.memory.buffer.byteLength;
  }

  /** Names of the adapters that can be asked for. */
  get adapters() {
    return [...this.#adapters.keys()];
  }

  /**
   * Load one tensor, in any order: embed, norm, layers.{l}.q and so on; unembed only where the output is not tied.
   *
   * @param {string} name
   * @param {{format: string, rows: number, cols: number}} kindOf "f32", "f16" (two byte planes), "q4_1" or "q8_0"
   * @param {Uint8Array} bytes
   */
  loadTensor(name, kindOf, bytes) {
    const { format, rows, cols } = /** @type {any} */ (kindOf ?? {});
    const [kind, layer] = this.#place(name);
    if (this.#sealed) throw new RuntimeError(`tensor ${name}: the model is sealed`);
    if (this.#loaded.has(name)) throw new RuntimeError(`tensor ${name} is there already`);
    checkMatrix(`tensor ${name}`, { format, rows, cols }, this.#shapeOf(kind), bytes);
    expect(this.#wasm.tensor_reserve(kind, layer, FORMATS[format], rows, cols), `tensor ${name}`);
    this.#expand(this.#wasm.tensor_address(kind, layer), format, rows * cols, bytes);
    expect(this.#wasm.tensor_commit(kind, layer), `tensor ${name}`);
    this.#loaded.add(name);
  }

  /** Say that all tensors are loaded. */
  seal() {
    if (this.#sealed) throw new RuntimeError("the model is sealed already");
    const names = ["embed", "norm"];
    for (let layer = 0; layer < this.shape.n_layers; layer++)
      for (const kind of Object.keys(PER_LAYER)) names.push(`layers.${layer}.${kind}`);
    const missing = names.filter((name) => !this.#loaded.has(name));
    if (missing.length) {
      const more = missing.length > 3 ? ` and ${missing.length - 3} more` : "";
      throw new RuntimeError(`tensors are missing: ${missing.slice(0, 3).join(", ")}${more}`);
    }
    expect(this.#wasm.model_seal(), "sealing the model");
    this.#sealed = true;
  }

  /**
   * Add a low-rank adapter under a name: y += scale * B (A x) on each projection that it names, with a rank of its own.
   *
   * @param {string} name
   * @param {{scale: number, tensors: {name: string, rows: number, cols: number, format: string, bytes: Uint8Array}[]}}
   *   adapter tensors layers.{l}.{projection}.A [rank, in] and .B [out, rank] in pairs, f16 or f32
   */
  addAdapter(name, adapter) {
    const { scale, tensors } = /** @type {any} */ (adapter ?? {});
    if (!this.#sealed) throw new RuntimeError("an adapter needs a sealed model");
    if (typeof name !== "string" || !name) throw new RuntimeError(`adapter name ${show(name)} is not a text`);
    if (this.#adapters.has(name)) throw new RuntimeError(`adapter ${name} is there already`);
    if (this.#adapters.size === MOST.adapters) throw new RuntimeError(`there are ${MOST.adapters} adapters, the most`);
    finite("scale", scale);
    const updates = this.#checkedUpdates(name, tensors);
    const number = this.#adapters.size;
    expect(this.#wasm.adapter_open(scale), `adapter ${name}`);
    for (const { layer, projection, rank, A, B } of updates) {
      expect(this.#wasm.adapter_reserve(number, layer, projection, rank), `adapter ${name}`);
      const address = (/** @type {number} */ side) => this.#wasm.adapter_address(number, layer, projection, side);
      this.#expand(address(0), A.format, A.rows * A.cols, A.bytes);
      const count = B.rows * B.cols;
      transpose(floatsOf(B.format, count, B.bytes), B.rows, B.cols, this.#floats(address(1), count));
    }
    expect(this.#wasm.adapter_seal(number), `adapter ${name}`);
    this.#adapters.set(name, number);
  }

  /**
   * Push tokens through the model after the first `past` tokens that the slot keeps; the slot then keeps past + n.
   *
   * @param {Request} request
   * @returns {Result} copies; what was not wanted is absent
   */
  run(request) {
    const { slot, ids, past, adapter, heads, steering, want } = this.#checkedRequest(request);
    const { n_layers, n_heads, d_head, d_model } = this.shape;
    this.#ints(this.#wasm.input_address(IN.ids), ids.length).set(ids);
    if (heads) this.#writeHeads(heads);
    if (steering) this.#floats(this.#wasm.input_address(IN.steering), d_model).set(steering.vector);
    this.#held[slot] = past;
    const begun = this.#wasm.run_begin(
      slot, ids.length, past, adapter, heads ? place(heads) : 0, steering ? place(steering) : 0,
      steering?.layer ?? 0, steering?.scale ?? 0,
    );
    expect(begun, "the run");
    /** @type {Result} */
    const result = {};
    const rows = n_heads * ids.length * (past + ids.length);
    if (want.patterns) result.patterns = roomFor(n_layers * rows);
    for (let layer = 0; layer < n_layers; layer++) {
      expect(this.#wasm.run_layer(layer), `layer ${layer}`);
      result.patterns?.set(this.#output(OUT.patterns, rows), layer * rows);
    }
    expect(this.#wasm.run_finish(), "the run (weights and edits gave numbers too large)");
    this.#held[slot] = past + ids.length;
    if (want.logits !== "none") result.logits = this.#logits(ids.length, want.logits === "all" ? 0 : ids.length - 1);
    if (want.z) result.z = this.#output(OUT.z, n_layers * n_heads * d_head).slice();
    if (want.residual) result.residual = this.#output(OUT.residual, (n_layers + 1) * d_model).slice();
    return result;
  }

  /** @param {number} n @param {number} first logits of tokens first .. n - 1, a few rows at a time */
  #logits(n, first) {
    const { n_vocab } = this.shape;
    const logits = roomFor((n - first) * n_vocab);
    for (let row = first; row < n; row += C.LOGIT_ROWS) {
      const count = Math.min(C.LOGIT_ROWS, n - row);
      expect(this.#wasm.run_logits(row, count), "the logits");
      logits.set(this.#output(OUT.logits, count * n_vocab), (row - first) * n_vocab);
    }
    return logits;
  }

  /** @param {any} request */
  #checkedRequest(request) {
    if (request === null || typeof request !== "object") throw new RuntimeError("run needs an object");
    const { slot, past, adapter = null, heads = null, steering = null, want = {} } = request;
    wholeNumber("slot", slot, 0, this.slots - 1);
    if (!this.#sealed) throw new RuntimeError("the model is not sealed yet");
    wholeNumber("past", past, 0, this.#held[slot]);
    const ids = this.#checkedIds(request.ids, past);
    if (adapter !== null && !this.#adapters.has(adapter))
      throw new RuntimeError(`there is no adapter ${show(adapter)}; there are: ${this.adapters.join(", ") || "none"}`);
    if (heads !== null) this.#checkHeads(heads);
    if (steering !== null) this.#checkSteering(steering);
    if (want === null || typeof want !== "object") throw new RuntimeError("want is not an object");
    const logits = want.logits ?? "last";
    if (!["none", "last", "all"].includes(logits)) throw new RuntimeError(`want.logits=${show(logits)} is not known`);
    for (const key of ["patterns", "z", "residual"]) yesOrNo(`want.${key}`, want[key]);
    return {
      slot, past, ids, heads, steering, want: { ...want, logits },
      adapter: adapter === null ? -1 : /** @type {number} */ (this.#adapters.get(adapter)),
    };
  }

  /** @param {any} ids @param {number} past */
  #checkedIds(ids, past) {
    if (!Array.isArray(ids) && !(ids instanceof Int32Array) && !(ids instanceof Uint32Array))
      throw new RuntimeError(`ids=${show(ids)} is not a list of token ids`);
    const room = this.maxTokens - past;
    if (ids.length < 1 || ids.length > room)
      throw new RuntimeError(`${ids.length} token ids after ${past}; from 1 to ${room} are allowed`);
    return Int32Array.from({ length: ids.length }, (_, i) => {
      const id = ids[i];
      wholeNumber("token id", id, 0, this.shape.n_vocab - 1);
      return id;
    });
  }

  /** @param {any} heads */
  #checkHeads(heads) {
    const { n_layers, n_heads, d_head } = this.shape;
    if (typeof heads !== "object") throw new RuntimeError("heads is not an object");
    checkFloats("heads.scale", heads.scale, n_layers * n_heads);
    if (heads.offset !== null && heads.offset !== undefined)
      checkFloats("heads.offset", heads.offset, n_layers * n_heads * d_head);
    yesOrNo("heads.everywhere", heads.everywhere);
  }

  /** @param {any} steering */
  #checkSteering(steering) {
    if (typeof steering !== "object") throw new RuntimeError("steering is not an object");
    checkFloats("steering.vector", steering.vector, this.shape.d_model);
    wholeNumber("steering.layer", steering.layer, 0, this.shape.n_layers - 1);
    finite("steering.scale", steering.scale);
    yesOrNo("steering.everywhere", steering.everywhere);
  }

  /** @param {Heads} heads */
  #writeHeads({ scale, offset }) {
    this.#floats(this.#wasm.input_address(IN.headScale), scale.length).set(scale);
    const offsets = this.#floats(this.#wasm.input_address(IN.headOffset), scale.length * this.shape.d_head);
    if (offset) offsets.set(offset);
    else offsets.fill(0);
  }

  /** The rotary angles of every position, rounded where Hugging Face's Llama rounds them. */
  #writeAngles() {
    const half = this.shape.d_head / 2;
    const cos = this.#floats(this.#wasm.input_address(IN.cos), this.maxTokens * half);
    const sin = this.#floats(this.#wasm.input_address(IN.sin), this.maxTokens * half);
    for (let i = 0; i < half; i++) {
      const frequency = Math.fround(1 / Math.fround(this.shape.rope_theta ** Math.fround(i / half)));
      for (let position = 0; position < this.maxTokens; position++) {
        const angle = Math.fround(position * frequency);
        cos[position * half + i] = Math.cos(angle);
        sin[position * half + i] = Math.sin(angle);
      }
    }
  }

  /** @param {any} name @returns {[number, number]} kind and layer */
  #place(name) {
    if (typeof name === "string" && Object.hasOwn(TOP, name)) return [TOP[name], 0];
    const [, layer, kind] = /^layers\.(\d{1,3})\.(\w+)$/.exec(typeof name === "string" ? name : "") ?? [];
    if (layer === undefined || String(Number(layer)) !== layer || !Object.hasOwn(PER_LAYER, kind))
      throw new RuntimeError(`there is no tensor ${show(name)}`);
    wholeNumber(`the layer of tensor ${name}`, Number(layer), 0, this.shape.n_layers - 1);
    return [PER_LAYER[kind], Number(layer)];
  }

  /** @param {number} kind @returns {[number, number]} rows and columns */
  #shapeOf(kind) {
    const { n_heads, n_kv_heads, d_head, d_model, d_ff, n_vocab } = this.shape;
    const [attention, shared] = [n_heads * d_head, n_kv_heads * d_head];
    const shapes = [
      [n_vocab, d_model], [n_vocab, d_model], [1, d_model], [1, d_model], [1, d_model], [attention, d_model],
      [shared, d_model], [shared, d_model], [d_model, attention], [d_ff, d_model], [d_ff, d_model], [d_model, d_ff],
    ];
    return /** @type {[number, number]} */ (shapes[kind]);
  }

  /**
   * The two sides of each projection that an adapter changes, found and checked.
   * @param {string} name @param {any} tensors @returns {{layer: number, projection: number, rank: number, A: any, B: any}[]}
   */
  #checkedUpdates(name, tensors) {
    if (!Array.isArray(tensors) || !tensors.length) throw new RuntimeError(`adapter ${name} has no tensors`);
    /** @type {Map<string, any>} */
    const updates = new Map();
    for (const tensor of tensors) {
      const found = /^layers\.(\d{1,3})\.(self_attn\.\w+|mlp\.\w+)\.(A|B)$/.exec(typeof tensor?.name === "string" ? tensor.name : "");
      const projection = PROJECTIONS.indexOf(found?.[2] ?? "");
      const layer = Number(found?.[1]);
      if (!found || projection < 0 || String(layer) !== found[1] || layer >= this.shape.n_layers)
        throw new RuntimeError(`adapter ${name}: there is no tensor ${show(tensor?.name)}`);
      const place = `${layer}.${projection}`;
      const update = updates.get(place) ?? { layer, projection };
      const { rows, cols, format, bytes } = tensor;
      if (update[found[3]]) throw new RuntimeError(`adapter ${name}: ${found[0]} is there twice`);
      if (format !== "f32" && format !== "f16")
        throw new RuntimeError(`adapter ${name}: ${found[0]} has format ${show(format)}; f16 or f32`);
      updates.set(place, { ...update, [found[3]]: { name: found[0], rows, cols, format, bytes } });
    }
    for (const update of updates.values()) this.#checkUpdate(name, update);
    return [...updates.values()];
  }

  /** Both sides are there and have the rank that A says. @param {string} name @param {any} update */
  #checkUpdate(name, update) {
    const { layer, projection, A, B } = update;
    if (!A || !B) throw new RuntimeError(`adapter ${name}: ${(A ?? B).name} comes without its other side`);
    wholeNumber(`adapter ${name}: the rank of ${A.name}`, A.rows, 1, MOST.rank);
    update.rank = A.rows;
    const [rows, cols] = this.#shapeOf(C.FIRST_PROJECTION + projection);
    checkMatrix(`adapter ${name}: ${A.name}`, A, [A.rows, cols], A.bytes);
    checkMatrix(`adapter ${name}: ${B.name}`, B, [rows, A.rows], B.bytes);
  }

  /** Write a checked tensor to where the runtime wants it. @param {number} address @param {string} format
   *  @param {number} count @param {Uint8Array} bytes */
  #expand(address, format, count, bytes) {
    if (format === "f16") return halves(bytes, this.#floats(address, count));
    if (format === "f32") return new Uint8Array(this.#wasm.memory.buffer, address, 4 * count).set(bytes);
    const blocks = count / BLOCK;
    const rows = format === "q4_1" ? 2 : 1; // scales, and the minima after them
    for (let row = 0; row < rows; row++)
      halves(bytes.subarray(2 * blocks * row), this.#floats(address + 4 * blocks * row, blocks));
    const quants = bytes.subarray(2 * blocks * rows);
    new Uint8Array(this.#wasm.memory.buffer, address + 4 * blocks * rows, quants.length).set(quants);
  }

  // Memory that grows gets a new buffer, so a view is made for each use and never kept.
  /** @param {number} address @param {number} count */
  #floats(address, count) {
    if (!address) throw new RuntimeError("the runtime has no such buffer");
    return new Float32Array(this.#wasm.memory.buffer, address, count);
  }

  /** @param {number} address @param {number} count */
  #ints(address, count) {
    return new Int32Array(this.#wasm.memory.buffer, address, count);
  }

  /** @param {number} output @param {number} count */
  #output(output, count) {
    return this.#floats(this.#wasm.output_address(output), count);
  }
}

/** @param {{everywhere: boolean}} edit which of a run's tokens it acts on */
const place = (edit) => (edit.everywhere ? C.EVERYWHERE : C.LAST);

/** @param {number} count */
function roomFor(count) {
  try {
    return new Float32Array(count);
  } catch {
    throw new RuntimeError(REASONS[C.OUT_OF_MEMORY]);
  }
}

/** @param {number} status @param {string} doing */
function expect(status, doing) {
  if (status) throw new RuntimeError(`${doing}: ${REASONS[status] ?? `status ${status}`}`);
}
