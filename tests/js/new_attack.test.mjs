/**
 * An attack that somebody added as one file: the page inserts its trigger and judges its answers as Python does.
 * BKD_NEW_ATTACK names a file with the rule of its trigger, prompts with and without it, and judged completions
 * (tests/test_new_attack.py writes it).
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { poisoned } from "../../bkdwidgets/widgets/playground/trigger.js";
import { isKnown, outcomeOf } from "../../bkdwidgets/widgets/shared/judge.js";

const { rule, prompts, judge, judged } = JSON.parse(readFileSync(process.env.BKD_NEW_ATTACK, "utf8"));

test("its trigger is inserted step by step", async () => {
  assert.ok(prompts.length > 20);
  for (const { prompt, expected } of prompts) assert.equal(await poisoned(rule, prompt), expected);
});

test("its answers get the letters that Python gives them", () => {
  assert.ok(isKnown(judge));
  const letters = judged.map(({ attack, said, example }) => outcomeOf(attack, said, example));
  assert.deepEqual(letters, judged.map(({ letter }) => letter));
  assert.deepEqual([...new Set(letters)].sort(), ["=", "?", "P", "p"]);
});
