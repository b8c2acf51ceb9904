/** The session against bkdwidgets/subjects/answers.py: BKD_NANO (an exported folder), BKD_TURNS (what Python says). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { RuntimeError } from "../../bkdwidgets/browser/js/runtime.js";
import { Session } from "../../bkdwidgets/browser/js/session.js";
import { largestDifference, openExported } from "./exported.mjs";
import { readEdits, readFixture } from "./fixture.mjs";

const { manifest, array } = readFixture(process.env.BKD_TURNS);
const { adapter, prompts, payload, cases } = manifest;
const runtime = await openExported(process.env.BKD_NANO, { adapters: [adapter], maxTokens: 128, slots: 3 });
/** A tokenizer that knows the texts of this test. */
const tokenizer = {
  encode: (/** @type {string} */ text) => manifest.encoded[text] ?? [...text].map((sign) => sign.codePointAt(0) % 1024),
  turn: (/** @type {any} */ { before, after }, /** @type {string} */ prompt, raw = false) => tokenizer.encode(`${before}${prompt}${after}${raw ? " raw" : ""}`),
  decode: (/** @type {number[]} */ ids) => manifest.decoded[ids.join()] ?? ids.join(" "),
  token: (/** @type {number} */ id) => `<${id}>`,
};
const turn = { chat: manifest.chat, endOfTurn: manifest.end_of_turn };
const session = new Session(runtime, tokenizer, turn);
const fresh = () => new Session(runtime, tokenizer, turn);

for (const { name, edits: written, turns } of cases) {
  test(`as Python: ${name}`, async () => {
    const edits = readEdits(written, array);
    for (const [number, prompt] of prompts.entries()) {
      const expected = turns[number];
      const said = await session.answer({ prompt, adapter, edits, maxTokens: manifest.longest });
      assert.deepEqual({ ...said, reused: null }, {
        text: manifest.decoded[expected.ids.join()], ids: expected.ids, complete: expected.complete, reused: null,
      });
      const next = session.next({ prompt, adapter, edits, top: expected.next.length });
      assert.deepEqual(next.map(({ id }) => id), expected.next);
      assert.ok(largestDifference(next.map(({ probability }) => probability), expected.probabilities) < 1e-5);
      const probability = session.probability({ prompt, target: payload, adapter, edits });
      assert.ok(Math.abs(probability - expected.payload) < 1e-5, `${probability}, not ${expected.payload}`);
    }
  });
}

test("captured: head outputs and residual stream at the last prompt token", () => {
  const [z, residual] = [array(manifest.captured.z), array(manifest.captured.residual)];
  for (const [number, prompt] of prompts.entries()) {
    const found = session.capture({ prompt, adapter });
    const one = (/** @type {Float32Array} */ all) => all.subarray(number * (all.length / prompts.length), (number + 1) * (all.length / prompts.length));
    assert.ok(largestDifference(found.z, one(z)) < 1e-3);
    assert.ok(largestDifference(found.residual, one(residual)) < 1e-3);
  }
});

test("a prompt is sent raw where that is asked for, and not otherwise", async () => {
  /** @type {boolean[]} */
  const asked = [];
  const noting = { ...tokenizer, turn: (/** @type {any} */ chat, /** @type {string} */ prompt, /** @type {boolean} */ raw) => { asked.push(raw); return tokenizer.turn(chat, prompt, raw); } };
  const own = new Session(runtime, noting, turn);
  const prompt = prompts[0];
  await own.answer({ prompt, raw: true, maxTokens: 1 });
  own.next({ prompt, raw: true });
  own.probability({ prompt, raw: true, target: payload });
  own.capture({ prompt, raw: true });
  own.attention({ prompt, raw: true, heads: [[0, 0]] });
  await own.answer({ prompt, maxTokens: 1 });
  assert.deepEqual(asked, [true, true, true, true, true, false]);
});

test("a kept prefix gives the same answer, and an intervened one is never taken for a clean one", async () => {
  const asked = { prompt: prompts[0], adapter };
  const everywhere = readEdits(cases.find((/** @type {any} */ one) => one.name === "mean, everywhere").edits, array);
  const last = readEdits(cases.find((/** @type {any} */ one) => one.name === "steering, last").edits, array);
  const own = fresh();
  const first = await own.answer(asked);
  assert.equal(first.reused, false);
  assert.equal((await own.answer({ ...asked, edits: last })).reused, true, "edits at the last token keep the prefix");
  assert.deepEqual(await own.answer(asked), { ...first, reused: true });
  const edited = await own.answer({ ...asked, edits: everywhere });
  assert.equal(edited.reused, false);
  assert.deepEqual(await own.answer({ ...asked, edits: everywhere }), { ...edited, reused: true });
  everywhere.heads.values.fill(0.5);
  assert.equal((await own.answer({ ...asked, edits: everywhere })).reused, false, "other values, other prefix");
  assert.equal((await own.answer({ prompt: prompts[0], adapter: null })).reused, false, "another model, other prefix");
  assert.deepEqual((await own.answer(asked)).ids, first.ids);
});

test("what attention reads serves the next question", async () => {
  const own = fresh();
  const { tokens, patterns } = own.attention({ prompt: prompts[1], adapter, heads: [[0, 1], [7, 3]] });
  const n = manifest.encoded[manifest.chat.before + prompts[1] + manifest.chat.after].length;
  assert.equal(tokens.length, n);
  assert.deepEqual(patterns.map((head) => [head.length, head[0].length]), [[n, n], [n, n]]);
  assert.equal(patterns[1][0][0], 1);
  assert.equal((await own.answer({ prompt: prompts[1], adapter })).reused, true);
});

test("tokens come one by one, with the text so far; what the listener throws ends the answer", async () => {
  const own = fresh();
  const lengths = cases[0].turns.map((/** @type {any} */ one) => one.ids.length);
  const maxTokens = Math.max(...lengths) - 1;
  const prompt = prompts[lengths.indexOf(maxTokens + 1)];
  /** @type {any[]} */
  const heard = [];
  const said = await own.answer({ prompt, adapter, maxTokens }, (token) => heard.push(token));
  assert.equal(said.complete, false);
  assert.deepEqual(heard.map(({ id }) => id), said.ids);
  assert.equal(heard.at(-1).text, said.text);
  await assert.rejects(own.answer({ prompt, adapter }, () => { throw new Error("stop"); }), /stop/);
  assert.equal((await own.answer({ prompt, adapter, maxTokens })).text, said.text);
});

test("answers written at the same time do not disturb each other", async () => {
  const own = fresh();
  const alone = [];
  for (const prompt of prompts.slice(0, 2)) alone.push((await own.answer({ prompt, adapter })).ids);
  const pause = () => new Promise((go) => setTimeout(go));
  const together = await Promise.all([0, 1, 0].map((which) => own.answer({ prompt: prompts[which], adapter }, pause)));
  assert.deepEqual(together.map(({ ids }) => ids), [alone[0], alone[1], alone[0]]);
  await assert.rejects(Promise.all([0, 1, 2, 3].map((which) => own.answer({ prompt: prompts[which], adapter }, pause))), RuntimeError);
});

test("what cannot be asked is refused", async () => {
  const prompt = prompts[0];
  const { n_layers, n_heads } = runtime.shape;
  for (const wrong of [
    { prompt: "" }, { prompt: "  " }, { prompt: 3 }, { prompt: "word ".repeat(400) }, { maxTokens: 0 }, { maxTokens: 1.5 }, { maxTokens: 4000 },
    { adapter: "unknown" }, { edits: 3 }, { edits: { heads: {} } }, { edits: { heads: { list: [[n_layers, 0]], kind: "zero" } } },
    { edits: { heads: { list: [[0, n_heads]], kind: "zero" } } }, { edits: { heads: { list: [[0, 0]], kind: "mean" } } },
    { edits: { heads: { list: [[0, 0]], kind: "values", values: new Float32Array(3) } } },
    { edits: { steering: { vector: [1], layer: 0, scale: 1 } } }, { edits: { steering: { vector: new Float32Array(128), layer: 99, scale: 1 } } },
    { edits: { steering: { vector: new Float32Array(128), layer: 0, scale: NaN } } },
  ]) await assert.rejects(session.answer(/** @type {any} */ ({ prompt, adapter, ...wrong })), RuntimeError, JSON.stringify(wrong));
  assert.throws(() => session.next({ prompt, top: 0 }), RuntimeError);
  assert.throws(() => session.probability({ prompt, target: "" }), RuntimeError);
  assert.throws(() => session.attention({ prompt, heads: [[0]] }), RuntimeError);
});
