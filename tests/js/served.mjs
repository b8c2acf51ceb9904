/** A stand-in for the network and the browser's cache: files by name, each request on record, faults on demand. */

import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";

export const FOLDER = new URL("https://book.example/_static/live/subjects/toy/");

/** @param {Uint8Array} bytes @param {string} stem */
export function packedPart(bytes, stem) {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const stored = new Uint8Array(gzipSync(bytes));
  const part = { file: `${stem}-${sha256.slice(0, 16)}.bin`, bytes: stored.length, unpacked: bytes.length, sha256 };
  return { part, stored };
}

/** Bytes that gzip cannot make much smaller, the same for the same seed. @param {number} length @param {number} seed */
export function noise(length, seed) {
  let state = seed >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/**
 * Put a network and a cache in the place of the real ones.
 * @param {Map<string, Uint8Array>} files by name
 */
export function standIn(files) {
  const net = {
    files,
    /** @type {string[]} */ asked: [],
    /** @type {null | ((name: string, bytes: Uint8Array, signal?: AbortSignal) => Response | Promise<Response>)} */ fault: null,
  };
  const kept = new Map();
  const cache = {
    match: async (/** @type {string} */ key) => (kept.has(key) ? new Response(kept.get(key)) : undefined),
    put: async (/** @type {string} */ key, /** @type {Response} */ response) => { kept.set(key, new Uint8Array(await response.arrayBuffer())); },
    delete: async (/** @type {string} */ key) => kept.delete(key),
  };
  Object.defineProperty(globalThis, "caches", { value: { open: async () => cache }, configurable: true, writable: true });
  globalThis.fetch = async (/** @type {any} */ url, { signal } = /** @type {any} */ ({})) => {
    signal?.throwIfAborted();
    const name = decodeURIComponent(String(url).slice(FOLDER.href.length));
    net.asked.push(name);
    const bytes = files.get(name);
    if (!bytes) return new Response(null, { status: 404 });
    return net.fault?.(name, bytes, signal) ?? new Response(bytes);
  };
  return { net, kept, cache };
}

/** A response that sends some bytes, and then runs `then`. @param {Uint8Array} bytes @param {number} count @param {(controller: ReadableStreamDefaultController) => void} then */
export function partly(bytes, count, then) {
  return new Response(new ReadableStream({
    start(controller) { controller.enqueue(bytes.slice(0, count)); },
    pull(controller) { then(controller); },
  }, { highWaterMark: 0 }));
}
