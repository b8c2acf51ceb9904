/** What the runtime computes in this browser, as one hash per run, sent to the test. */
import { loadPart, tensorsOf } from "./live/parts.js";
import { openRuntime } from "./live/runtime.js";

const RUNS = 20;

/** @param {Float32Array[]} arrays */
async function digest(arrays) {
  const hash = await crypto.subtle.digest("SHA-256", await new Blob(arrays).arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} name @param {string | null} adapter */
async function open(name, adapter) {
  const folder = new URL(`subjects/${name}/`, document.baseURI);
  const index = await (await fetch(new URL("index.json", folder))).json();
  const wasm = await (await fetch("live/runtime.wasm")).arrayBuffer();
  const runtime = await openRuntime(wasm, index.shape, { maxTokens: 64, slots: 1 });
  const load = (part) => loadPart(folder, part, { onBytes: () => {} });
  for await (const { tensor, bytes } of tensorsOf(index.base, load)) runtime.loadTensor(tensor.name, tensor, bytes);
  runtime.seal();
  if (adapter) {
    const entry = index.adapters.find((one) => one.name === adapter);
    const layout = JSON.parse(new TextDecoder().decode(await load(entry.layout)));
    const tensors = [];
    for await (const { tensor, bytes } of tensorsOf({ parts: entry.parts, tensors: layout.tensors }, load)) tensors.push({ ...tensor, bytes: bytes.slice() });
    runtime.addAdapter(adapter, { scale: entry.scale, tensors });
  }
  return runtime;
}

async function bits(name, adapter) {
  const runtime = await open(name, adapter);
  const { n_layers, n_heads, n_vocab, d_model } = runtime.shape;
  const found = [];
  for (let run = 0; run < RUNS; run++) {
    const ids = Array.from({ length: 3 + 2 * run }, (_, i) => (i * i * 31 + i * 7 + run * 13) % n_vocab);
    const scale = Float32Array.from({ length: n_layers * n_heads }, (_, i) => (i % (run + 2) ? 1 : 0));
    const vector = Float32Array.from({ length: d_model }, (_, i) => ((i * 37) % 11) / 11 - 0.5);
    const result = runtime.run({
      slot: 0, ids, past: 0, adapter: run % 2 ? adapter : null,
      heads: run % 3 ? { scale, offset: null, everywhere: run % 4 === 1 } : null,
      steering: run % 5 ? { vector, layer: run % n_layers, scale: run / 10, everywhere: false } : null,
      want: { logits: "all", patterns: true, z: true, residual: true },
    });
    found.push(await digest([result.logits, result.patterns, result.z, result.residual]));
  }
  return found;
}

let said;
try {
  said = { nano: await bits("nano", "fixed-output-sft-0"), tiny: await bits("tiny", null) };
} catch (error) {
  said = { error: String(error.stack ?? error) };
}
await fetch("result", { method: "POST", body: JSON.stringify(said) });
