/** The runtime against torch, case by case: BKD_SUBJECT (a folder of export_web), BKD_PARITY (what torch computed). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { largestDifference, openExported } from "./exported.mjs";
import { readEdits, readFixture } from "./fixture.mjs";

const MOST_LOGITS = 0.05;
const MOST_ATTENTION = 0.005;
const MOST_INSIDE = 0.002; // of the largest value: head outputs and the residual stream have no fixed scale

const { manifest, array } = readFixture(process.env.BKD_PARITY);
const adapters = [...new Set(manifest.cases.map((/** @type {any} */ one) => one.adapter))].filter(Boolean);
const runtime = await openExported(process.env.BKD_SUBJECT, { adapters });
const { n_layers, n_heads, d_head, n_vocab } = runtime.shape;

/** @param {any} edits */
function acting(edits) {
  if (!edits) return {};
  /** @type {any} */
  const acts = { steering: edits.steering ?? null };
  if (edits.heads) {
    const scale = new Float32Array(n_layers * n_heads).fill(1);
    const offset = new Float32Array(n_layers * n_heads * d_head);
    for (const [layer, head] of edits.heads.list) {
      const index = layer * n_heads + head;
      scale[index] = 0;
      if (edits.heads.values) offset.set(edits.heads.values.subarray(index * d_head, (index + 1) * d_head), index * d_head);
    }
    acts.heads = { scale, offset: edits.heads.values ? offset : null, everywhere: edits.heads.everywhere };
  }
  return acts;
}

/** @param {any} acts */
const everywhereOf = (acts) => ({
  heads: acts.heads?.everywhere ? acts.heads : null,
  steering: acts.steering?.everywhere ? acts.steering : null,
});

/** @param {Float32Array} values */
const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
/** @param {Float32Array} logits */
const argmax = (logits) => logits.indexOf(logits.reduce((most, value) => Math.max(most, value), -Infinity));

/** Everything of one prompt, and of the answer after it, token by token. @param {any} turn @param {any} adapter @param {any} acts */
function compare(turn, adapter, acts) {
  const { ids, forced } = turn;
  const everywhere = everywhereOf(acts);
  const want = { logits: "none", patterns: true };
  const prefix = runtime.run({ slot: 0, ids: ids.slice(0, -1), past: 0, adapter, ...everywhere, want });
  const last = runtime.run({
    slot: 0, ids: ids.slice(-1), past: ids.length - 1, adapter, ...acts,
    want: { logits: "last", patterns: true, z: true, residual: true },
  });
  const rows = [last.logits];
  forced.forEach((/** @type {number} */ token, /** @type {number} */ i) => {
    rows.push(runtime.run({ slot: 0, ids: [token], past: ids.length + i, adapter, ...everywhere }).logits);
  });
  const all = array(turn.logits);
  const expected = rows.map((_, i) => all.subarray(i * n_vocab, (i + 1) * n_vocab));
  const [z, residual] = [array(turn.z), array(turn.residual)];
  return {
    agreed: rows.filter((row, i) => argmax(row) === argmax(expected[i])).length,
    logits: Math.max(...rows.map((row, i) => largestDifference(row, expected[i]))),
    attention: Math.max(
      largestDifference(prefix.patterns, array(turn.prefix_patterns)),
      largestDifference(last.patterns, array(turn.last_patterns)),
    ),
    inside: Math.max(largestDifference(last.z, z) / largest(z), largestDifference(last.residual, residual) / largest(residual)),
  };
}

for (const { name, adapter, edits, prompts } of manifest.cases) {
  test(`as torch: ${name}`, () => {
    const acts = acting(readEdits(edits, array));
    const found = prompts.map((/** @type {any} */ turn) => compare(turn, adapter, acts));
    const most = (/** @type {string} */ key) => Math.max(...found.map((/** @type {any} */ one) => one[key]));
    const tokens = prompts.length * (prompts[0].forced.length + 1);
    const agreed = found.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.agreed, 0);
    console.log(`${name}: ${agreed} of ${tokens} tokens, logits ${most("logits")}, attention ${most("attention")}, inside ${most("inside")}`);
    assert.equal(agreed, tokens, "next tokens that agree");
    assert.ok(most("logits") <= MOST_LOGITS, `logits differ by ${most("logits")}`);
    assert.ok(most("attention") <= MOST_ATTENTION, `attention differs by ${most("attention")}`);
    assert.ok(most("inside") <= MOST_INSIDE, `head outputs or residuals differ by ${most("inside")} of the largest`);
  });
}
