/** Tensors as they travel (../pack.py) and as the runtime holds them (../runtime/runtime.h). */
import { RuntimeError, show } from "./checks.js";
import { BLOCK, F32, Q4_1, Q8_0 } from "./constants.js";

export { BLOCK } from "./constants.js";
/** How the runtime calls a format; float16 is expanded on the way in. */
export const FORMATS = { f32: F32, f16: F32, q4_1: Q4_1, q8_0: Q8_0 };

/** @param {string} what @param {any} tensor @param {[number, number]} shape @param {any} bytes */
export function checkMatrix(what, { format, rows, cols }, [wantedRows, wantedCols], bytes) {
  if (typeof format !== "string" || !Object.hasOwn(FORMATS, format)) throw new RuntimeError(`${what} has unknown format ${show(format)}`);
  if (rows !== wantedRows || cols !== wantedCols)
    throw new RuntimeError(`${what} is [${show(rows)}, ${show(cols)}], the model has [${wantedRows}, ${wantedCols}]`);
  const isBlocks = format === "q4_1" || format === "q8_0";
  if (isBlocks && (cols % BLOCK || rows === 1)) throw new RuntimeError(`${what} cannot be in blocks of ${BLOCK}`);
  const count = rows * cols;
  const length = { f32: 4 * count, f16: 2 * count, q4_1: (count / BLOCK) * 20, q8_0: (count / BLOCK) * 34 }[format];
  if (!(bytes instanceof Uint8Array) || bytes.length !== length)
    throw new RuntimeError(`${what} needs ${length} bytes, got ${bytes instanceof Uint8Array ? bytes.length : show(bytes)}`);
}

/** float16 to float32 by table: sign, five bits of exponent, ten of fraction. Infinities become NaN: neither is let in. */
const HALVES = Float32Array.from({ length: 65536 }, (_, bits) => {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return exponent === 31 ? NaN : bits >> 15 ? -size : size;
});

/** Read float16 in two byte planes: all low bytes, then all high bytes. @param {Uint8Array} bytes
 *  @param {Float32Array} into */
export function halves(bytes, into) {
  for (let i = 0; i < into.length; i++) into[i] = HALVES[bytes[i] | (bytes[into.length + i] << 8)];
}

/** @param {string} format @param {number} count @param {Uint8Array} bytes */
export function floatsOf(format, count, bytes) {
  const values = new Float32Array(count);
  if (format === "f16") halves(bytes, values);
  else new Uint8Array(values.buffer).set(bytes);
  return values;
}

/** @param {Float32Array} values [rows, cols] @param {number} rows @param {number} cols @param {Float32Array} into */
export function transpose(values, rows, cols, into) {
  for (let row = 0; row < rows; row++)
    for (let col = 0; col < cols; col++) into[col * rows + row] = values[row * cols + col];
}
