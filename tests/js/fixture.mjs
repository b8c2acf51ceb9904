/** Read what tests/browser_reference.py wrote: a manifest whose arrays lie in one file. */
import fs from "node:fs";
import path from "node:path";

/** @param {string} folder */
export function readFixture(folder) {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "manifest.json"), "utf8"));
  const file = fs.readFileSync(path.join(folder, "numbers.f32"));
  const numbers = new Float32Array(file.buffer, file.byteOffset, file.byteLength / 4);
  const array = (/** @type {{at: number, length: number}} */ { at, length }) => numbers.slice(at, at + length);
  return { manifest, array };
}

/** The edits of a case as the session takes them. @param {any} edits @param {any} array */
export function readEdits(edits, array) {
  if (!edits) return null;
  const { heads, steering } = edits;
  return {
    ...(heads && { heads: { ...heads, values: heads.values ? array(heads.values) : undefined } }),
    ...(steering && { steering: { ...steering, vector: array(steering.vector) } }),
  };
}
