/**
 * 10,000 random or hostile inputs to the runtime's interface (seeded): each is an error by name or a finite answer, never
 * a trap, and the runtime still answers right afterwards. BKD_NANO is an exported folder.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import { test } from "node:test";
import { Runtime, RuntimeError, openRuntime } from "../../bkdwidgets/browser/js/runtime.js";
import { WASM, adapterOf, baseTensors, largestDifference, openExported, readIndex } from "./exported.mjs";

const NANO = process.env.BKD_NANO;
const RUNS = 7000;
const LOADS = 1500;
const ADAPTERS = 500;
const SHAPES = 1000;
const ADAPTER = "fixed-output-sft-0";

/** mulberry32: the same numbers on every machine. @param {number} seed */
function chanceOf(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const chance = chanceOf(20260101);
const below = (/** @type {number} */ n) => Math.floor(chance() * n);
/** @template T @param {T[]} list @returns {T} */
const pick = (list) => list[below(list.length)];

const detached = new Float32Array(8);
structuredClone(detached, { transfer: [detached.buffer] });
/** Values that are never right, or only by luck. */
const HOSTILE = [
  undefined, null, NaN, Infinity, -Infinity, -1, -0, 0.5, 1e9, 2 ** 31, 2 ** 32, -(2 ** 31), 2 ** 53, 1e308, "", "0", "__proto__", "constructor",
  "toString", true, false, [], {}, [[]], () => 1, Symbol("s"), 10n, Object.create(null), new Date(0), new Float32Array(0), new Float32Array(3),
  new Float64Array(128), new Uint8Array(4), new ArrayBuffer(8), new SharedArrayBuffer(8), detached, new Array(1e6), new Proxy({}, {}), { length: 1e9 },
  { valueOf: () => 1 }, new Map(), Int32Array.of(1, 2),
];

const nano = await openExported(NANO, { adapters: [ADAPTER], maxTokens: 24, slots: 2 });
const { n_layers, n_heads, d_head, d_model, n_vocab } = nano.shape;
const probe = { slot: 0, ids: [5, 9, 700, 3, 41, 8], past: 0, adapter: ADAPTER };
const right = nano.run(probe).logits;
const stillRight = (/** @type {any} */ runtime) => assert.equal(largestDifference(runtime.run(probe).logits, right), 0);

/** @param {number} length @param {number} size */
function floats(length, size) {
  const values = Float32Array.from({ length }, () => (chance() - 0.5) * size);
  if (chance() < 0.1 && length) values[below(length)] = pick([NaN, Infinity, -Infinity, 3.4e38]);
  return values;
}

/** A request that is right, or nearly. */
function request() {
  const size = pick([1, 10, 1e3, 1e20, 3e38]);
  const heads = { scale: floats(n_layers * n_heads, size), offset: pick([null, floats(n_layers * n_heads * d_head, size)]), everywhere: chance() < 0.5 };
  const steering = { vector: floats(d_model, size), layer: below(n_layers), scale: (chance() - 0.5) * size, everywhere: chance() < 0.5 };
  return {
    slot: below(2), ids: Array.from({ length: 1 + below(8) }, () => below(n_vocab)), past: pick([0, 0, 0, below(6), below(30)]),
    adapter: pick([null, ADAPTER, ADAPTER, "none such"]), heads: pick([null, null, heads]), steering: pick([null, null, steering]),
    want: { logits: pick(["none", "last", "all"]), patterns: chance() < 0.3, z: chance() < 0.3, residual: chance() < 0.3 },
  };
}

/** Put a hostile value somewhere into an object, at any depth. @param {any} object @returns {any} */
function spoiled(object) {
  const key = pick(Object.keys(object));
  const value = object[key];
  const isOpen = value !== null && typeof value === "object" && !ArrayBuffer.isView(value) && Object.keys(value).length > 0;
  const inside = isOpen && chance() < 0.7;
  if (Array.isArray(object)) return object.map((one, i) => (String(i) === key ? (inside ? spoiled(one) : pick(HOSTILE)) : one));
  return { ...object, [key]: inside ? spoiled(value) : pick(HOSTILE) };
}

/** @param {Uint8Array} bytes cut, longer, with bits turned, or of another kind */
function spoiledBytes(bytes) {
  return pick([
    () => bytes.subarray(0, below(bytes.length)),
    () => Uint8Array.from({ length: bytes.length + 1 + below(64) }),
    () => Uint8Array.from(bytes, (byte) => (chance() < 0.02 ? byte ^ (1 << below(8)) : byte)),
    () => new Uint8Array(bytes.length).fill(0xff),
    () => new Uint8Array(bytes.length).fill(0x7c),
    () => new Float32Array(bytes.length),
    () => pick(HOSTILE),
  ])();
}

/** @param {() => any} call @returns {any} its result, or null where it was refused */
function tried(call) {
  try {
    return call();
  } catch (error) {
    if (error instanceof RuntimeError) return null;
    throw new Error(`not by name: ${/** @type {Error} */ (error).stack}`);
  }
}

test(`${RUNS} requests`, () => {
  let [answered, refused] = [0, 0];
  for (let i = 0; i < RUNS; i++) {
    const asked = chance() < 0.5 ? request() : spoiled(request());
    const result = tried(() => nano.run(chance() < 0.01 ? /** @type {any} */ (pick(HOSTILE)) : asked));
    if (result === null) refused += 1;
    else {
      answered += 1;
      for (const values of Object.values(result)) assert.ok(values.every(Number.isFinite), "an answer has a value that is no number");
    }
    if (i % 100 === 0) stillRight(nano);
  }
  assert.ok(answered > RUNS / 5 && refused > RUNS / 5, `${answered} answered, ${refused} refused`);
  stillRight(nano);
});

test(`${LOADS} truncated, swapped or damaged tensors`, async () => {
  const runtime = await openRuntime(fs.readFileSync(WASM), readIndex(NANO).shape, { maxTokens: 24, slots: 2 });
  const tensors = [...baseTensors(NANO)];
  const names = [...tensors.map(({ name }) => name), "unembed", "layers.99.q", "layers.-1.q", "layers.01.q", "layers.1.toString", "x", ""];
  let loaded = 0;
  for (let i = 0; i < LOADS; i++) {
    const { name, format, rows, cols, bytes } = pick(tensors);
    const wrong = pick([
      () => [pick(names), { format, rows, cols }, pick(tensors).bytes],
      () => [name, { format, rows, cols }, spoiledBytes(bytes)],
      () => [name, { format: pick(["f32", "q8_0", "q4_1", "q4_0", "__proto__"]), rows, cols }, bytes],
      () => [name, spoiled({ format, rows, cols }), bytes],
      () => [name, { format, rows: cols, cols: rows }, bytes],
      () => [pick(HOSTILE), { format, rows, cols }, bytes],
      () => [name, pick(HOSTILE), bytes],
    ])();
    if (tried(() => runtime.loadTensor(.../** @type {[any, any, any]} */ (wrong)) ?? true)) loaded += 1;
    if (chance() < 0.1) assert.equal(tried(() => runtime.seal() ?? true), null);
    assert.equal(tried(() => runtime.run(probe)), null);
  }
  assert.ok(loaded < 100, `${loaded} loaded`); // bits turned within what a float16 can be, and true ones under their own name
});

test(`${ADAPTERS} damaged adapters`, () => {
  const read = adapterOf(NANO, ADAPTER);
  const good = { ...read, tensors: read.tensors.map(({ name, rows, cols, format, bytes }) => ({ name, rows, cols, format, bytes })) };
  const bytesBefore = nano.bytes;
  for (let i = 0; i < ADAPTERS; i++) {
    const at = below(good.tensors.length);
    const other = (/** @type {any} */ change) => ({ ...good, tensors: good.tensors.map((/** @type {any} */ one, /** @type {number} */ k) => (k === at ? { ...one, ...change } : one)) });
    const wrong = pick([
      () => ({ ...good, scale: pick([NaN, Infinity, 1e308, "1", null, {}, undefined]) }),
      () => ({ ...good, tensors: spoiled(good.tensors) }),
      () => ({ ...good, tensors: good.tensors.slice(0, at | 1) }), // one side without the other
      () => other({ bytes: pick([new Uint8Array(3), new Uint8Array(good.tensors[at].bytes.length).fill(0xff), pick(HOSTILE)]) }),
      () => other({ name: pick([good.tensors[(at + 1) % good.tensors.length].name, "layers.8.self_attn.q_proj.A", ...HOSTILE]) }),
      () => other({ rows: pick([0, -4, 1e9, ...HOSTILE]) }),
      () => ({ ...good, tensors: pick([[], {}, "A", null]) }),
      () => pick(HOSTILE),
    ])();
    assert.equal(tried(() => nano.addAdapter(pick(["x", ADAPTER]), /** @type {any} */ (wrong)) ?? true), null, "a damaged adapter came in");
    if (i % 50 === 0) stillRight(nano);
  }
  assert.deepEqual(nano.adapters, [ADAPTER]);
  assert.ok(nano.bytes - bytesBefore < 4e6, "refused adapters keep memory");
  stillRight(nano);
});

test(`${SHAPES} shapes`, async () => {
  const module = await WebAssembly.compile(fs.readFileSync(WASM));
  const { shape } = readIndex(NANO);
  for (let i = 0; i < SHAPES; i++) {
    const numbers = { ...shape, [pick(Object.keys(shape))]: pick([0, 1, 2, 3, 5, 8, 257, 65536, 2 ** 31 - 1]) };
    const huge = { ...shape, n_layers: 128, n_heads: 128, n_kv_heads: 128, d_head: 256, d_model: 32768, d_ff: 32768, n_vocab: 262144 };
    const asked = pick([() => spoiled(shape), () => numbers, () => pick(HOSTILE), () => (chance() < 0.1 ? huge : shape)])();
    const options = pick([{ maxTokens: 8, slots: 1 }, { maxTokens: pick(HOSTILE), slots: 1 }, { maxTokens: 8, slots: pick(HOSTILE) }, null]);
    try {
      const runtime = await openRuntime(module, /** @type {any} */ (asked), /** @type {any} */ (options));
      assert.equal(tried(() => runtime.run(probe)), null);
    } catch (error) {
      assert.ok(error instanceof RuntimeError, `not by name: ${/** @type {Error} */ (error).stack}`);
    }
  }
  stillRight(nano);
});

test("the C functions themselves, called past the checks with any numbers", async () => {
  const { instance } = /** @type {any} */ (await WebAssembly.instantiate(fs.readFileSync(WASM), {}));
  const runtime = new Runtime(instance.exports, readIndex(NANO).shape, 24, 2);
  for (const tensor of baseTensors(NANO)) runtime.loadTensor(tensor.name, tensor, tensor.bytes);
  runtime.seal();
  runtime.addAdapter(ADAPTER, adapterOf(NANO, ADAPTER));
  const entries = Object.values(instance.exports).filter((one) => typeof one === "function");
  assert.ok(entries.length >= 14, `${entries.length} entries`);
  const number = () => pick([-1, 0, 1, 2, 3, 7, 8, 12, 24, 25, 128, 1024, 65536, 2 ** 31 - 1, -(2 ** 31), NaN, Infinity, 0.5, below(30)]);
  for (let i = 0; i < 20000; i++) pick(entries)(...Array.from({ length: 10 }, number));
  stillRight(runtime);
});
