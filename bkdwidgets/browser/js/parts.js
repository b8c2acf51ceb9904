/**
 * A subject's files: fetched in parts, checked, and kept in the browser.
 *
 * A part travels gzipped. Its unpacked bytes are compared with the SHA-256 that the index names, and only
 * then kept in the Cache API, under that hash. So a download that broke off goes on at the part it broke
 * in, a reader who comes back fetches nothing, and a part that is not what the page was built with is
 * refused, whether it comes from the network or from the cache. Each refusal is one plain line.
 *
 * @typedef {{file: string, bytes: number, unpacked: number, sha256: string}} Part
 * @typedef {{name: string, format: string, rows: number, cols: number, part: number, offset: number, length: number}} Tensor
 * @typedef {{parts: Part[], tensors: Tensor[]}} Pack
 * @typedef {{name: string, attack: string, clean: string | null, payload: string | null, rule: {steps: {words: string[], place: string}[]},
 *            sha256: string, scale: number, layout: Part, parts: Part[]}} AdapterEntry `clean`: the
 *            clean twin that is its control, if it is not the subject itself; where its tensors lie is in `layout`: {tensors: Tensor[], extras: Tensor[]} as JSON
 * @typedef {{format: number, subject: string, weights_sha256: string, shape: Record<string, number>,
 *            end_of_turn: number, chat: {before: string, after: string}, tokenizer: Part, base: Pack,
 *            adapters: AdapterEntry[]}} Index
 * @typedef {{signal?: AbortSignal, onBytes?: (stored: number, from: "download" | "cache") => void}} How
 */

export class PartError extends Error {}

const FORMAT = 2;
const SHELF = "bkd-live-1";
const LARGEST = 64 << 20; // no part comes near it; a length beyond it is a damaged index

/**
 * @param {URL} folder the subject's, with a slash at its end
 * @param {string} subject @param {{signal?: AbortSignal}} [how] @returns {Promise<Index>}
 */
export async function readIndex(folder, subject, { signal } = {}) {
  const response = await fetched(new URL("index.json", folder), "the model's index", { signal, cache: "no-cache" });
  const index = await response.json().catch((/** @type {Error} */ error) => {
    if (error.name === "AbortError") throw error;
    throw new PartError("the model's index is damaged; reload the page");
  });
  if (index?.format !== FORMAT || index.subject !== subject) throw new PartError("the model's index is not one that this page can read; reload the page");
  return index;
}

/** What an adapter of that name is, or a refusal that lists the known ones. @param {Index} index @param {string} name */
export function adapterEntry(index, name) {
  const entry = index.adapters.find((one) => one.name === name);
  if (!entry) throw new PartError(`unknown adapter ${JSON.stringify(name)}; known: ${index.adapters.map((one) => one.name).join(", ") || "none"}`);
  return entry;
}

/** All parts of an adapter. @param {AdapterEntry} entry @returns {Part[]} */
export const plantedParts = ({ layout, parts }) => [layout, ...parts];

/** All parts of a subject with some of its adapters. @param {Index} index @param {string[]} adapters @returns {Part[]} */
export function partsOf(index, adapters) {
  return [index.tokenizer, ...index.base.parts, ...adapters.flatMap((name) => plantedParts(adapterEntry(index, name)))];
}

/** Whether a part is in the browser's cache (it is checked when it is used). @param {Part} part */
export async function isKept(part) {
  return Boolean(await (await shelf())?.match(address(part)));
}

/**
 * The unpacked bytes of a part: the kept ones, else fetched ones, which are then kept.
 * @param {URL} folder @param {Part} part @param {How} [how] @returns {Promise<Uint8Array>}
 */
export async function loadPart(folder, part, { signal, onBytes = () => {} } = {}) {
  refuseOddPart(part);
  signal?.throwIfAborted();
  const kept = await takeKept(part);
  if (kept) {
    onBytes(part.bytes, "cache");
    return kept;
  }
  const bytes = await unpacked(await download(folder, part, { signal, onBytes }), part);
  if (await sha256(bytes) !== part.sha256) throw new PartError(`the file ${part.file} is not the one this page was built with (its SHA-256 differs); reload the page`);
  await keep(part, bytes);
  return bytes;
}

/**
 * The tensors of a pack, each as soon as its part is there. The bytes lie in the part: use them before the next step.
 * @param {URL} folder @param {Pack} pack @param {(part: Part) => Promise<Uint8Array>} load
 * @returns {AsyncGenerator<{tensor: Tensor, bytes: Uint8Array}>}
 */
export async function* tensorsOf({ parts, tensors }, load) {
  let number = 0;
  let part = await load(parts[0]);
  const next = async () => {
    number += 1;
    if (number >= parts.length) throw new PartError("the model's index is damaged: a tensor lies outside its parts; reload the page");
    part = await load(parts[number]);
  };
  for (const tensor of tensors) {
    while (number < tensor.part) await next();
    if (number !== tensor.part || tensor.offset > part.length) throw new PartError("the model's index is damaged: its tensors are not in order; reload the page");
    const end = tensor.offset + tensor.length;
    if (end <= part.length) {
      yield { tensor, bytes: part.subarray(tensor.offset, end) };
      continue;
    }
    const whole = new Uint8Array(tensor.length); // larger than a part: it goes on at the beginning of the next
    let filled = 0;
    for (let start = tensor.offset; ; start = 0) {
      const piece = part.subarray(start, start + tensor.length - filled);
      whole.set(piece, filled);
      filled += piece.length;
      if (filled === tensor.length) break;
      await next();
    }
    yield { tensor, bytes: whole };
  }
}

/** @param {Part} part */
function refuseOddPart(part) {
  const isSize = (/** @type {unknown} */ size) => Number.isInteger(size) && Number(size) >= 0 && Number(size) <= LARGEST;
  const isFine = /^[\w.-]+\.bin$/.test(part?.file) && /^[0-9a-f]{64}$/.test(part.sha256) && isSize(part.bytes) && isSize(part.unpacked);
  if (!isFine) throw new PartError("the model's index is damaged; reload the page");
}

/** A response that is there, or a plain line. @param {URL} url @param {string} what @param {RequestInit} [options] */
export async function fetched(url, what, options = {}) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw isAbort(error) ? error : new PartError(`${what} could not be fetched: no connection; try again, what came before is kept`);
  }
  if (!response.ok) throw new PartError(`${what} is not there (HTTP ${response.status}); reload the page`);
  return response;
}

/** @param {URL} folder @param {Part} part @param {Required<Pick<How, "onBytes">> & How} how */
async function download(folder, part, { signal, onBytes }) {
  // What is kept is kept unpacked and under its hash; a second copy in the HTTP cache would be of no use.
  const response = await fetched(new URL(part.file, folder), `the file ${part.file}`, { signal, cache: "no-store" });
  let count = 0;
  let stored;
  try {
    stored = await collected(response.body, part.bytes, (so_far) => { count = so_far; onBytes(so_far, "download"); });
  } catch (error) {
    if (isAbort(error)) throw error;
  }
  if (!stored) throw new PartError(`the file ${part.file} broke off after ${count} of ${part.bytes} bytes; try again, what came before is kept`);
  return stored;
}

/** @param {Uint8Array} stored @param {Part} part */
async function unpacked(stored, part) {
  const stream = new Blob([stored]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await collected(stream, part.unpacked).catch(() => null);
  if (!bytes) throw new PartError(`the file ${part.file} is damaged (it cannot be unpacked); reload the page`);
  return bytes;
}

/**
 * Read a stream that is to hold exactly `size` bytes; null if it holds fewer or more.
 * @param {ReadableStream<Uint8Array> | null} stream @param {number} size @param {(so_far: number) => void} [onBytes]
 */
async function collected(stream, size, onBytes = () => {}) {
  const bytes = new Uint8Array(size);
  const reader = (stream ?? new Blob([]).stream()).getReader();
  let filled = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return filled === size ? bytes : null;
    if (filled + value.length > size) {
      await reader.cancel().catch(() => {});
      return null;
    }
    bytes.set(value, filled);
    filled += value.length;
    onBytes(filled);
  }
}

/** @param {Part} part */
async function takeKept(part) {
  const cache = await shelf();
  const found = await cache?.match(address(part));
  if (!cache || !found) return null;
  const bytes = new Uint8Array(await found.arrayBuffer());
  if (bytes.length === part.unpacked && await sha256(bytes) === part.sha256) return bytes;
  await cache.delete(address(part)); // spoiled on the disk: fetch it again
  return null;
}

/** A full disk or a private window only means that the next visit fetches again. @param {Part} part @param {Uint8Array} bytes */
async function keep(part, bytes) {
  try {
    await (await shelf())?.put(address(part), new Response(bytes));
  } catch { /* see above */ }
}

/** Browsers without the Cache API, or that forbid it here, do without. @returns {Promise<Cache | null>} */
async function shelf() {
  try {
    return await globalThis.caches.open(SHELF);
  } catch {
    return null;
  }
}

/** The cache asks for an address; nothing is ever fetched from this one. @param {Part} part */
function address(part) {
  return `/.bkd-live/${part.sha256}`;
}

/** @param {Uint8Array} bytes */
async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {unknown} error */
function isAbort(error) {
  return error instanceof Error && error.name === "AbortError";
}
