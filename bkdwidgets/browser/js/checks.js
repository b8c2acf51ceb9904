/**
 * Checks of what comes from outside: each function refuses the rest by a RuntimeError, in one line that names the value.
 *
 * @typedef {{n_layers: number, n_heads: number, n_kv_heads: number, d_head: number, d_model: number, d_ff: number,
 *   n_vocab: number, rms_eps: number, rope_theta: number}} Shape
 */

import * as C from "./constants.js";

export class RuntimeError extends Error {
  name = "RuntimeError";
}

/** The most of each that the runtime takes. */
export const MOST = {
  n_layers: C.MAX_LAYERS, n_heads: C.MAX_HEADS, n_kv_heads: C.MAX_HEADS, d_head: C.MAX_HEAD_WIDTH,
  d_model: C.MAX_WIDTH, d_ff: C.MAX_WIDTH, n_vocab: C.MAX_VOCAB, maxTokens: C.MAX_TOKENS, slots: C.MAX_SLOTS,
  adapters: C.MAX_ADAPTERS, rank: C.MAX_RANK,
};

/** Describe a refused value in a few characters, whatever it is. @param {any} value */
export function show(value) {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  return value !== null && (typeof value === "object" || typeof value === "function") ? "an object" : String(value);
}

/** @param {string} what @param {any} value @param {number} least @param {number} most */
export function wholeNumber(what, value, least, most) {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RuntimeError(`${what} ${show(value)} is not a whole number from ${least} to ${most}`);
}

/** @param {string} what @param {any} value finite also as a float32 */
export function finite(what, value) {
  if (typeof value !== "number" || !Number.isFinite(Math.fround(value)))
    throw new RuntimeError(`${what}=${show(value)} is not a finite number`);
}

/** @param {string} what @param {any} value */
export function yesOrNo(what, value) {
  if (value !== undefined && typeof value !== "boolean")
    throw new RuntimeError(`${what}=${show(value)} is neither true nor false`);
}

/** @param {string} what @param {any} values @param {number} length */
export function checkFloats(what, values, length) {
  if (!(values instanceof Float32Array) || values.length !== length)
    throw new RuntimeError(`${what} is not a Float32Array of ${length} values`);
  if (!values.every(Number.isFinite)) throw new RuntimeError(`${what} has a value that is not a finite number`);
}

/** @param {any} shape @returns {Shape} */
export function checkedShape(shape) {
  if (shape === null || typeof shape !== "object") throw new RuntimeError("shape is not an object");
  const { n_layers, n_heads, n_kv_heads, d_head, d_model, d_ff, n_vocab, rms_eps, rope_theta } = shape;
  const checked = { n_layers, n_heads, n_kv_heads, d_head, d_model, d_ff, n_vocab, rms_eps, rope_theta };
  for (const key of /** @type {(keyof Shape)[]} */ (Object.keys(checked)))
    if (key in MOST) wholeNumber(key, checked[key], 1, MOST[/** @type {keyof MOST} */ (key)]);
  if (n_heads % n_kv_heads) throw new RuntimeError(`n_heads ${n_heads} is not a multiple of n_kv_heads ${n_kv_heads}`);
  for (const [key, value] of Object.entries({ d_head, d_model, d_ff }))
    if (value % 4) throw new RuntimeError(`${key} ${value} is not a multiple of 4`);
  if (n_heads * d_head > MOST.d_model) throw new RuntimeError(`n_heads * d_head is more than ${MOST.d_model}`);
  finite("rms_eps", rms_eps);
  finite("rope_theta", rope_theta);
  if (Math.fround(rms_eps) <= 0 || rope_theta < 1) throw new RuntimeError("rms_eps above 0, rope_theta from 1");
  return checked;
}
