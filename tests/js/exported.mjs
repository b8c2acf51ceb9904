/** Read a folder written by export_web into a runtime, as the worker does, without a network. */
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { openRuntime } from "../../bkdwidgets/browser/js/runtime.js";

const HERE = import.meta.dirname;
/** The runtime under test: the one that ships, or the one the environment names. */
export const WASM = process.env.BKDWIDGETS_WASM ?? path.join(HERE, "../../bkdwidgets/browser/runtime/runtime.wasm");

/** @param {string} folder */
export function readIndex(folder) {
  return JSON.parse(fs.readFileSync(path.join(folder, "index.json"), "utf8"));
}

/** @param {string} folder @param {any[]} parts @param {any[]} tensors */
function* tensorsOf(folder, parts, tensors) {
  const unpacked = parts.map((part) => zlib.gunzipSync(fs.readFileSync(path.join(folder, part.file))));
  for (const tensor of tensors) {
    const bytes = new Uint8Array(tensor.length);
    let filled = 0;
    // A tensor larger than a part goes on at the beginning of the next ones.
    for (let { part, offset } = tensor; filled < tensor.length; part += 1, offset = 0) {
      const piece = unpacked[part].subarray(offset, offset + tensor.length - filled);
      bytes.set(piece, filled);
      filled += piece.length;
    }
    yield { ...tensor, bytes };
  }
}

/** Every tensor of the base, with its bytes. @param {string} folder */
export function baseTensors(folder) {
  const { base } = readIndex(folder);
  return tensorsOf(folder, base.parts, base.tensors);
}

/** What addAdapter takes. @param {string} folder @param {string} name */
export function adapterOf(folder, name) {
  const entry = readIndex(folder).adapters.find((/** @type {any} */ one) => one.name === name);
  const { tensors } = JSON.parse(String(zlib.gunzipSync(fs.readFileSync(path.join(folder, entry.layout.file)))));
  return { scale: entry.scale, tensors: [...tensorsOf(folder, entry.parts, tensors)] };
}

/** @param {string} folder @param {{adapters?: string[], maxTokens?: number, slots?: number}} [options] */
export async function openExported(folder, { adapters = [], ...options } = {}) {
  const runtime = await openRuntime(fs.readFileSync(WASM), readIndex(folder).shape, options);
  for (const tensor of baseTensors(folder)) runtime.loadTensor(tensor.name, tensor, tensor.bytes);
  runtime.seal();
  for (const name of adapters) runtime.addAdapter(name, adapterOf(folder, name));
  return runtime;
}

/** @param {ArrayLike<number>} a @param {ArrayLike<number>} b */
export function largestDifference(a, b) {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const apart = Math.abs(a[i] - b[i]);
    if (!(apart <= most)) most = apart; // NaN counts as infinitely far
  }
  return Number.isNaN(most) ? Infinity : most;
}
