/** Tensors out of parts: those that share one, those that cross into the next, and an index that lies. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PartError, tensorsOf } from "../../bkdwidgets/browser/js/parts.js";
import { noise } from "./served.mjs";

const bytes = [noise(100, 1), noise(100, 2), noise(100, 3), noise(60, 4)];
const parts = bytes.map((data, number) => ({ file: `${number}.bin`, bytes: 1, unpacked: data.length, sha256: String(number) }));
const at = (/** @type {string} */ name, /** @type {number} */ part, /** @type {number} */ offset, /** @type {number} */ length) =>
  ({ name, format: "f32", rows: 1, cols: length / 4, part, offset, length });

async function read(/** @type {any[]} */ tensors) {
  const asked = [];
  const found = new Map();
  const load = async (/** @type {any} */ part) => { asked.push(part.file); return bytes[Number(part.sha256)]; };
  for await (const { tensor, bytes: own } of tensorsOf({ parts, tensors }, load)) found.set(tensor.name, own.slice());
  return { asked, found };
}

test("each tensor gets its own bytes, and each part is asked for once, in order", async () => {
  const { asked, found } = await read([at("a", 0, 0, 40), at("b", 0, 48, 52), at("c", 1, 0, 100), at("d", 2, 96, 4), at("e", 3, 0, 60)]);
  assert.deepEqual(asked, ["0.bin", "1.bin", "2.bin", "3.bin"]);
  assert.deepEqual(found.get("a"), bytes[0].slice(0, 40));
  assert.deepEqual(found.get("b"), bytes[0].slice(48));
  assert.deepEqual(found.get("c"), bytes[1]);
  assert.deepEqual(found.get("d"), bytes[2].slice(96));
  assert.deepEqual(found.get("e"), bytes[3]);
});

test("a tensor that is larger than a part goes on in the parts that follow", async () => {
  const { found } = await read([at("small", 0, 0, 16), at("large", 0, 16, 300), at("rest", 3, 16, 44)]);
  assert.deepEqual(found.get("large"), Uint8Array.from([...bytes[0].slice(16), ...bytes[1], ...bytes[2], ...bytes[3].slice(0, 16)]));
  assert.deepEqual(found.get("rest"), bytes[3].slice(16));
});

test("an index whose tensors lie outside the parts, or out of order, is refused", async () => {
  const lies = [[at("x", 3, 0, 61)], [at("x", 9, 0, 4)], [at("x", 0, 101, 0)], [at("x", 0, 50, 400)], [at("x", 1, 0, 4), at("y", 0, 0, 4)]];
  for (const tensors of lies) await assert.rejects(read(tensors), (error) => error instanceof PartError && /index is damaged/.test(error.message));
});
