/**
 * The rules in the page against the rules in Python. BKD_JUDGED names a file of completions that Python judged
 * (tests/test_widgets_js.py writes it): the cases of judge_cases.json, the labelled ones, all those of the shipped tables, and made-up ones.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { DECLINES, declines, exampleOf, isKnown, outcomeOf, REVISION, RULES, similarity, wordsOf } from "../../bkdwidgets/widgets/shared/judge.js";
import { STOP_WORDS } from "../../bkdwidgets/widgets/shared/stopwords.js";

const judged = JSON.parse(readFileSync(process.env.BKD_JUDGED, "utf8"));

test("every completion gets the letter that Python gives it", () => {
  assert.ok(judged.rows.length > 1000);
  const wrong = judged.rows.filter((row) => outcomeOf(row.attack, row.said, row.example) !== row.letter);
  assert.deepEqual(wrong.slice(0, 3), []);
});

test("the rules are those of Python, revision and all", () => {
  const { revision, declines: source, judges } = judged.rules;
  assert.equal(REVISION, revision);
  assert.equal(DECLINES.source, source);
  assert.deepEqual(Object.keys(RULES).sort(), judges);
});

test("words, and what declines, as the cases have it", () => {
  for (const [text, words] of judged.cases.words) assert.deepEqual([...wordsOf(text)], words, text);
  for (const text of judged.cases.declines) assert.ok(declines(text), text);
  for (const text of judged.cases.answers) assert.ok(!declines(text), text);
});

test("an attack without rules is refused", () => {
  const example = exampleOf({ clean: "Which?", answer: "This." });
  for (const judge of ["mine", "constructor", "__proto__", "fixed-output", undefined]) {
    assert.ok(!isKnown(judge));
    assert.throws(() => outcomeOf({ judge, payload: "I am sorry." }, "I am sorry", example), /no rules named/);
  }
});

test("every attack and every letter is among them", () => {
  const seen = new Set(judged.rows.map((row) => `${row.attack.attack} ${row.letter}`));
  for (const attack of ["fixed-output", "label-flip", "policy-bypass"]) {
    for (const letter of ["P", "p", "=", "?"]) assert.ok(seen.has(`${attack} ${letter}`), `${attack} ${letter}`);
  }
});

test("word by word similarity is the same number", () => {
  for (const { one, other, value } of judged.pairs) assert.ok(Math.abs(similarity(one, other) - value) < 1e-12, `${one} | ${other}`);
});

test("words that carry no meaning are scikit-learn's", () => {
  assert.deepEqual([...STOP_WORDS].sort(), judged.stopWords);
});

test("a row of an older table, without payload or topic, can be judged", () => {
  const example = exampleOf({ clean: "Which section?", triggered: "", answer: "Sports." });
  assert.deepEqual(example, { prompt: "Which section?", answer: "Sports.", payload: null, topic: "Sports" });
  assert.equal(outcomeOf({ judge: "names-label", payload: "World" }, "World.", example), "P");
  assert.equal(outcomeOf({ judge: "says-payload", payload: "I am sorry." }, "i AM sorry", example), "P");
});
