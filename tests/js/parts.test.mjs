/** The download: progress, cancel, resume, and every way in which a part can be wrong. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isKept, loadPart, partsOf, PartError, readIndex } from "../../bkdwidgets/browser/js/parts.js";
import { FOLDER, noise, packedPart, partly, standIn } from "./served.mjs";

const packed = [1, 2, 3].map((seed) => packedPart(noise(40_000, seed), `base-${seed}`));
const parts = packed.map(({ part }) => part);
const files = () => new Map(packed.map(({ part, stored }) => [part.file, stored]));

const oneLine = (/** @type {RegExp} */ says) => (/** @type {Error} */ error) => {
  assert.ok(error instanceof PartError, String(error));
  assert.match(error.message, says);
  assert.doesNotMatch(error.message, /\n/);
  return true;
};

async function all() {
  const got = [];
  for (const part of parts) got.push(await loadPart(FOLDER, part));
  return got;
}

test("parts arrive whole, with progress, and are kept under their hash", async () => {
  const { net, kept } = standIn(files());
  const seen = [];
  const bytes = await loadPart(FOLDER, parts[0], { onBytes: (stored, from) => seen.push([stored, from]) });
  assert.deepEqual(bytes, noise(40_000, 1));
  assert.deepEqual(seen.at(-1), [parts[0].bytes, "download"]);
  assert.deepEqual([...kept.keys()], [`/.bkd-live/${parts[0].sha256}`]);
  assert.equal(await isKept(parts[0]), true);
  assert.equal(await isKept(parts[1]), false);
  assert.equal(net.asked.length, 1);
});

test("a second visit fetches nothing", async () => {
  const { net } = standIn(files());
  await all();
  net.asked.length = 0;
  const seen = [];
  assert.deepEqual(await loadPart(FOLDER, parts[2], { onBytes: (...step) => seen.push(step) }), noise(40_000, 3));
  assert.deepEqual(seen, [[parts[2].bytes, "cache"]]);
  assert.deepEqual(net.asked, []);
});

test("a broken download says so, and goes on at the part it broke in", async () => {
  const { net } = standIn(files());
  net.fault = (name, bytes) => (name === parts[1].file ? partly(bytes, 500, (c) => c.error(new TypeError("network error"))) : new Response(bytes));
  await assert.rejects(all(), oneLine(new RegExp(`broke off after 500 of ${parts[1].bytes} bytes; try again`)));
  assert.equal(await isKept(parts[1]), false);
  net.fault = null;
  net.asked.length = 0;
  assert.deepEqual(await all(), [1, 2, 3].map((seed) => noise(40_000, seed)));
  assert.deepEqual(net.asked, [parts[1].file, parts[2].file]);
});

test("cancelling stops in the middle of a part; what is finished stays", async () => {
  const { net, kept } = standIn(files());
  const stop = new AbortController();
  net.fault = (name, bytes, signal) => (name === parts[0].file ? new Response(bytes) : partly(bytes, 500, (c) => {
    stop.abort();
    c.error(signal?.reason);
  }));
  await loadPart(FOLDER, parts[0], { signal: stop.signal });
  await assert.rejects(loadPart(FOLDER, parts[1], { signal: stop.signal }), { name: "AbortError" });
  await assert.rejects(loadPart(FOLDER, parts[0], { signal: stop.signal }), { name: "AbortError" });
  assert.deepEqual([...kept.keys()], [`/.bkd-live/${parts[0].sha256}`]);
});

const wrong = {
  "no connection": [() => { throw new TypeError("Failed to fetch"); }, /no connection; try again/],
  "not found": [() => new Response(null, { status: 404 }), /not there \(HTTP 404\)/],
  "a truncated file": [(bytes) => new Response(bytes.slice(0, -7)), /broke off after \d+ of \d+ bytes/],
  "an empty file": [() => new Response(null), /broke off after 0 of/],
  "too many bytes": [(bytes) => new Response(new Blob([bytes, new Uint8Array(9)])), /broke off after/],
  "a changed byte": [(bytes) => new Response(bytes.with(3000, bytes[3000] ^ 1)), /damaged|SHA-256/],
  "a page instead of a part": [(bytes) => new Response(new Uint8Array(bytes.length).fill(60)), /cannot be unpacked/],
};

for (const [what, [answer, says]] of Object.entries(wrong)) {
  test(`${what} is refused in one plain line, and nothing is kept`, async () => {
    const { net, kept } = standIn(files());
    net.fault = (_, bytes) => /** @type {any} */ (answer)(bytes);
    await assert.rejects(loadPart(FOLDER, parts[0]), oneLine(/** @type {RegExp} */ (says)));
    assert.equal(kept.size, 0);
  });
}

test("swapped parts of the same size are refused by their hash", async () => {
  const { kept } = standIn(files());
  const swapped = { ...parts[0], sha256: parts[1].sha256 };
  await assert.rejects(loadPart(FOLDER, swapped), oneLine(/SHA-256 differs/));
  assert.equal(kept.size, 0);
});

test("a part that was spoiled in the cache is thrown away and fetched again", async () => {
  const { net, kept } = standIn(files());
  await loadPart(FOLDER, parts[0]);
  const [key] = kept.keys();
  for (const spoiled of [noise(40_000, 9), new Uint8Array(3)]) {
    kept.set(key, spoiled);
    net.asked.length = 0;
    assert.deepEqual(await loadPart(FOLDER, parts[0]), noise(40_000, 1));
    assert.deepEqual(net.asked, [parts[0].file]);
    assert.deepEqual(kept.get(key), noise(40_000, 1));
  }
});

test("a cache that is full or forbidden only means that nothing is kept", async () => {
  const { cache } = standIn(files());
  cache.put = async () => { throw new DOMException("full", "QuotaExceededError"); };
  assert.deepEqual(await loadPart(FOLDER, parts[0]), noise(40_000, 1));
  for (const value of [undefined, { open: async () => { throw new DOMException("no", "SecurityError"); } }]) {
    Object.defineProperty(globalThis, "caches", { value, configurable: true, writable: true });
    assert.deepEqual(await loadPart(FOLDER, parts[0]), noise(40_000, 1));
    assert.equal(await isKept(parts[0]), false);
  }
});

test("an index that names other files or impossible sizes is refused before anything is fetched", async () => {
  const { net } = standIn(files());
  const odd = [
    { file: "https://elsewhere.example/x.bin" }, { file: "../x.bin" }, { file: "..%2fx.bin" }, { file: "x.js" }, { file: undefined },
    { sha256: "0" }, { sha256: parts[0].sha256.toUpperCase() }, { bytes: -1 }, { bytes: 1e12 }, { unpacked: Number.NaN }, { unpacked: "9" },
  ];
  for (const change of odd) await assert.rejects(loadPart(FOLDER, /** @type {any} */ ({ ...parts[0], ...change })), oneLine(/index is damaged/));
  assert.deepEqual(net.asked, []);
});

test("the index is read, or refused in words", async () => {
  const { net } = standIn(new Map());
  const index = { format: 2, subject: "toy", tokenizer: parts[0], base: { parts: [parts[1]] }, adapters: [{ name: "a", layout: parts[2], parts: [parts[0]] }] };
  const serve = (/** @type {unknown} */ value) => net.files.set("index.json", new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)));
  await assert.rejects(readIndex(FOLDER, "toy"), oneLine(/index is not there \(HTTP 404\)/));
  for (const bad of ["{", "", "[1", "<html>"]) {
    serve(bad);
    await assert.rejects(readIndex(FOLDER, "toy"), oneLine(/index is damaged/));
  }
  for (const bad of ["null", "7", { ...index, format: 1 }, { ...index, subject: "other" }]) {
    serve(bad);
    await assert.rejects(readIndex(FOLDER, "toy"), oneLine(/not one that this page can read/));
  }
  serve(index);
  const read = await readIndex(FOLDER, "toy");
  assert.deepEqual(partsOf(read, ["a"]), [...parts, parts[0]]);
  assert.deepEqual(partsOf(read, []), parts.slice(0, 2));
  assert.throws(() => partsOf(read, ["b"]), oneLine(/unknown adapter "b"; known: a/));
});
