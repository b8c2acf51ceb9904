/** Token for token what Python makes of hostile texts; the cases are written by tests/test_export_web.py. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { openTokenizer } from "../../bkdwidgets/browser/js/tokenizer.js";

const { BKD_SUBJECT, BKD_CASES, BKD_TOKENIZERS } = /** @type {Record<string, string>} */ (process.env);
const skip = BKD_CASES ? false : "run by tests/test_export_web.py";
const read = (/** @type {string} */ name) => JSON.parse(readFileSync(name, "utf8"));

async function opened() {
  const index = read(path.join(BKD_SUBJECT, "index.json"));
  const { Tokenizer } = await import(pathToFileURL(BKD_TOKENIZERS).href);
  const tokenizer = openTokenizer(Tokenizer, gunzipSync(readFileSync(path.join(BKD_SUBJECT, index.tokenizer.file))));
  return { index, tokenizer, cases: read(BKD_CASES) };
}

test("prompts in their chat turn: special tokens are text, and tokens where they are sent raw", { skip }, async () => {
  const { index, tokenizer, cases } = await opened();
  for (const { text, ids, raw } of cases.prompts) {
    assert.deepEqual(tokenizer.turn(index.chat, text), ids, JSON.stringify(text));
    assert.deepEqual(tokenizer.turn(index.chat, text, true), raw, JSON.stringify(text));
  }
});

test("texts by themselves", { skip }, async () => {
  const { tokenizer, cases } = await opened();
  for (const { text, ids } of cases.responses) assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
});

test("answers, and single tokens, as text", { skip }, async () => {
  const { tokenizer, cases } = await opened();
  for (const { ids, text, tokens } of cases.answers) {
    assert.equal(tokenizer.decode(ids), text, String(ids));
    assert.deepEqual(ids.map(tokenizer.token), tokens, String(ids));
  }
});

test("half a surrogate pair is refused", { skip }, async () => {
  const { index, tokenizer } = await opened();
  for (const half of ["\ud83d", "\ude00"]) {
    assert.throws(() => tokenizer.encode(`a${half}b`), /half of a character/);
    for (const raw of [false, true]) assert.throws(() => tokenizer.turn(index.chat, `a${half}b`, raw), /half of a character/);
  }
  assert.ok(tokenizer.encode("a\ud83d\ude00b").length);
});
