/** The runtime by itself: BKD_NANO and BKD_TINY are exported folders. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { MOST } from "../../bkdwidgets/browser/js/checks.js";
import { RuntimeError, openRuntime } from "../../bkdwidgets/browser/js/runtime.js";
import { floatsOf } from "../../bkdwidgets/browser/js/tensors.js";
import { WASM, adapterOf, baseTensors, largestDifference, openExported, readIndex } from "./exported.mjs";

const NANO = process.env.BKD_NANO;
const TINY = process.env.BKD_TINY;
const ADAPTER = "fixed-output-sft-0";
const nano = await openExported(NANO, { adapters: [ADAPTER] });
const ids = Array.from({ length: 23 }, (_, i) => (i * 37 + 11) % nano.shape.n_vocab);
const { n_layers, n_heads, d_head, d_model, n_vocab } = nano.shape;

/** Read token by token or in larger pieces, all logits. @param {any} runtime @param {number[]} tokens @param {number[]} lengths */
function inPieces(runtime, tokens, lengths, slot = 1) {
  const logits = [];
  for (let past = 0, i = 0; past < tokens.length; past += lengths[i % lengths.length], i++) {
    const piece = tokens.slice(past, past + lengths[i % lengths.length]);
    logits.push(...runtime.run({ slot, ids: piece, past, want: { logits: "all" } }).logits);
  }
  return logits;
}

test("4-bit, 8-bit and float weights give what torch gives with the same numbers", async () => {
  const tiny = await openExported(TINY, { maxTokens: 40, slots: 2 });
  const expected = JSON.parse(fs.readFileSync(path.join(TINY, "torch.json"), "utf8"));
  const { logits } = tiny.run({ slot: 0, ids: expected.ids, past: 0, want: { logits: "all" } });
  assert.ok(largestDifference(logits, expected.logits) < 2e-3, String(largestDifference(logits, expected.logits)));
  for (const lengths of [[1], [2], [3, 1], [4, 5], [29]])
    assert.equal(largestDifference(inPieces(tiny, expected.ids, lengths), logits), 0, `pieces of ${lengths}`);
});

test("reading at once, in pieces and token by token gives the same bits", () => {
  const { logits } = nano.run({ slot: 0, ids, past: 0, want: { logits: "all" } });
  for (const lengths of [[1], [2], [3, 1], [7, 8], [22, 1]])
    assert.equal(largestDifference(inPieces(nano, ids, lengths), logits), 0, `pieces of ${lengths}`);
});

test("slots keep apart, and a slot can be gone back in", () => {
  const first = nano.run({ slot: 0, ids, past: 0 }).logits;
  nano.run({ slot: 2, ids: [...ids].reverse(), past: 0 });
  nano.run({ slot: 3, ids: [...ids].reverse(), past: 0, adapter: ADAPTER });
  const again = nano.run({ slot: 0, ids: ids.slice(-1), past: ids.length - 1 }).logits;
  assert.equal(largestDifference(first, again), 0);
  nano.run({ slot: 0, ids: [1, 2, 3], past: 5 }); // what was kept after token 5 is gone now
  assert.throws(() => nano.run({ slot: 0, ids: [1], past: 9 }), RuntimeError);
});

test("an adapter acts only where it is asked for", () => {
  const clean = nano.run({ slot: 0, ids, past: 0 }).logits;
  const planted = nano.run({ slot: 0, ids, past: 0, adapter: ADAPTER }).logits;
  assert.ok(largestDifference(clean, planted) > 1);
  assert.equal(largestDifference(nano.run({ slot: 0, ids, past: 0, adapter: null }).logits, clean), 0);
});

test("an adapter of rank 3 whose A is zero changes nothing; with B it adds scale * B (A x)", async () => {
  const runtime = await openExported(NANO, { maxTokens: 32, slots: 1 });
  const given = adapterOf(NANO, ADAPTER);
  const sides = (/** @type {number} */ fill) => given.tensors.map((/** @type {any} */ tensor) => {
    const isA = tensor.name.endsWith(".A");
    const [rows, cols] = isA ? [3, tensor.cols] : [tensor.rows, 3];
    const values = new Float32Array(rows * cols).map((_, i) => (isA ? fill * Math.sin(i) : Math.cos(i) / 8));
    return { name: tensor.name, rows, cols, format: "f32", bytes: new Uint8Array(values.buffer) };
  });
  runtime.addAdapter("nothing", { scale: 2, tensors: sides(0) });
  runtime.addAdapter("small", { scale: 2, tensors: sides(0.01) });
  runtime.addAdapter("same", { scale: 1, tensors: sides(0.02) });
  const logits = (/** @type {string | null} */ adapter) => runtime.run({ slot: 0, ids, past: 0, adapter }).logits;
  assert.equal(largestDifference(logits("nothing"), logits(null)), 0);
  assert.ok(largestDifference(logits("small"), logits(null)) > 0.01);
  assert.ok(largestDifference(logits("small"), logits("same")) < 1e-4);
});

test("an adapter may name a few projections, each with a rank of its own", async () => {
  const runtime = await openExported(NANO, { maxTokens: 32, slots: 1 });
  const given = adapterOf(NANO, ADAPTER);
  const isNamed = (/** @type {any} */ { name }) => name.startsWith("layers.2.mlp.down_proj") || name.startsWith("layers.5.self_attn.v_proj");
  /** The same update with rows of zeros below A and beside B. @param {any} tensor @param {number} rank */
  const widened = ({ name, rows, cols, bytes }, rank) => {
    const isA = name.endsWith(".A");
    const own = floatsOf("f16", rows * cols, bytes);
    const values = new Float32Array(isA ? rank * cols : rows * rank);
    if (isA) values.set(own);
    else for (let row = 0; row < rows; row++) values.set(own.subarray(row * cols, (row + 1) * cols), row * rank);
    return { name, rows: isA ? rank : rows, cols: isA ? cols : rank, format: "f32", bytes: new Uint8Array(values.buffer) };
  };
  const silent = (/** @type {any} */ tensor) => (isNamed(tensor) ? tensor : { ...tensor, bytes: new Uint8Array(tensor.bytes.length) });
  const few = given.tensors.filter(isNamed);
  assert.equal(few.length, 4);
  runtime.addAdapter("few", { ...given, tensors: few });
  runtime.addAdapter("mixed", { ...given, tensors: few.map((tensor) => widened(tensor, tensor.name.includes("mlp") ? 9 : 17)) });
  runtime.addAdapter("all", { ...given, tensors: given.tensors.map(silent) });
  const logits = (/** @type {string | null} */ adapter) => runtime.run({ slot: 0, ids, past: 0, adapter }).logits;
  assert.ok(largestDifference(logits("few"), logits(null)) > 0.01);
  assert.equal(largestDifference(logits("mixed"), logits("few")), 0);
  assert.equal(largestDifference(logits("all"), logits("few")), 0);
  const says = (/** @type {any[]} */ tensors, /** @type {RegExp} */ why) => assert.throws(() => runtime.addAdapter("x", { ...given, tensors }), why);
  says([], /no tensors/);
  says(few.slice(0, 3), /comes without its other side/);
  says([...few, few[0]], /is there twice/);
  says([few[0], widened(few[1], 5), ...few.slice(2)], /the model has \[\d+, 4\]/);
});

test("a scale of one and an offset of zero change nothing; an edit at the last token leaves the others alone", () => {
  const plain = nano.run({ slot: 0, ids, past: 0, want: { logits: "all", z: true } });
  const same = { scale: new Float32Array(n_layers * n_heads).fill(1), offset: null, everywhere: true };
  assert.equal(largestDifference(nano.run({ slot: 1, ids, past: 0, heads: same, want: { logits: "all" } }).logits, plain.logits), 0);
  const none = { scale: new Float32Array(n_layers * n_heads), offset: null, everywhere: false };
  const cut = nano.run({ slot: 1, ids, past: 0, heads: none, want: { logits: "all", z: true } });
  const last = (ids.length - 1) * n_vocab;
  assert.equal(largestDifference(cut.logits.subarray(0, last), plain.logits.subarray(0, last)), 0);
  assert.ok(largestDifference(cut.logits.subarray(last), plain.logits.subarray(last)) > 0.1);
  assert.equal(largestDifference(cut.z, new Float32Array(n_layers * n_heads * d_head)), 0);
});

test("patterns are rows that sum to one and never look ahead; results are copies", () => {
  const { patterns } = nano.run({ slot: 0, ids, past: 0, want: { patterns: true } });
  const n = ids.length;
  for (let row = 0; row < patterns.length / n; row++) {
    const values = patterns.subarray(row * n, (row + 1) * n);
    assert.ok(Math.abs(values.reduce((sum, value) => sum + value, 0) - 1) < 1e-5);
    assert.ok(values.subarray((row % n) + 1).every((value) => value === 0));
  }
  const first = nano.run({ slot: 0, ids, past: 0, want: { residual: true } }).residual;
  const kept = first.slice();
  nano.run({ slot: 0, ids: [3, 4], past: 0, want: { residual: true } });
  assert.equal(largestDifference(first, kept), 0);
  assert.equal(first.length, (n_layers + 1) * d_model);
});

test("a model that is not whole is not sealed, and names what is missing", async () => {
  const runtime = await openRuntime(fs.readFileSync(WASM), readIndex(NANO).shape);
  for (const tensor of baseTensors(NANO))
    if (tensor.name !== "layers.3.gate") runtime.loadTensor(tensor.name, tensor, tensor.bytes);
  assert.throws(() => runtime.seal(), (error) => error instanceof RuntimeError && /layers\.3\.gate/.test(error.message));
  assert.throws(() => runtime.run({ slot: 0, ids: [1], past: 0 }), /not sealed/);
});

test("numbers too large are an error, and the runtime still answers right after it", () => {
  const before = nano.run({ slot: 0, ids, past: 0 }).logits;
  const steering = { vector: new Float32Array(d_model).fill(3e38), layer: 1, scale: 3e38, everywhere: true };
  assert.throws(() => nano.run({ slot: 0, ids, past: 0, steering }), RuntimeError);
  assert.throws(() => nano.run({ slot: 0, ids: [1], past: 3 }), RuntimeError, "what the broken run left is not kept");
  assert.equal(largestDifference(nano.run({ slot: 0, ids, past: 0 }).logits, before), 0);
});

test("a module that is not the runtime is refused", async () => {
  const empty = Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  for (const wasm of [empty, new Uint8Array(10), null, "runtime"])
    await assert.rejects(openRuntime(/** @type {any} */ (wasm), readIndex(NANO).shape), RuntimeError);
});

test("the interface and the header name the same limits", () => {
  const header = fs.readFileSync(new URL("../../bkdwidgets/browser/runtime/runtime.h", import.meta.url), "utf8");
  const limit = (/** @type {string} */ name) => Number(new RegExp(`\\b${name} = (\\d+)`).exec(header)?.[1]);
  const same = {
    n_layers: "MAX_LAYERS", n_heads: "MAX_HEADS", n_kv_heads: "MAX_HEADS", d_head: "MAX_HEAD_WIDTH", d_model: "MAX_WIDTH", d_ff: "MAX_WIDTH",
    n_vocab: "MAX_VOCAB", maxTokens: "MAX_TOKENS", slots: "MAX_SLOTS", adapters: "MAX_ADAPTERS", rank: "MAX_RANK",
  };
  for (const [key, name] of Object.entries(same)) assert.equal(MOST[/** @type {keyof typeof MOST} */ (key)], limit(name), name);
});
