/** What stands beside a number is over the same prompts, and a drag goes one way. BKD_TABLES names a folder of the book's lab tables. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";

import { AblationTable } from "../../bkdwidgets/widgets/ablation/view.js";
import { countsWords, overSame, rateOver } from "../../bkdwidgets/widgets/shared/rates.js";
import { stopAt, VectorTable } from "../../bkdwidgets/widgets/vector/view.js";

const named = (lab) => readdirSync(process.env.BKD_TABLES).filter((name) => name.startsWith(`${lab}-`))
  .map((name) => JSON.parse(readFileSync(`${process.env.BKD_TABLES}/${name}`, "utf8")));
const [ablations, vectors] = [named("ablation"), named("vector")];
const chat = (tables) => tables.find(({ subject, attack }) => subject === "smollm2" && attack === "fixed-output");

/** Where the slider stands after each move of a steady drag: as the lab keeps it, from the last stop on. */
function dragged(positions, stops, start, byKey) {
  const seen = [start];
  for (const to of positions) seen.push(stopAt(seen.at(-1), to, stops, byKey));
  return seen.slice(1);
}

test("a steady drag never goes back, and ends at the nearest stop", () => {
  for (const { layers, shape } of vectors) {
    const even = Array.from({ length: 121 }, (_, step) => Math.round((step / 120) * (shape[0] - 1)));
    const seen = dragged(even, layers, layers[0], false);
    seen.forEach((layer, step) => assert.ok(!step || layer >= seen[step - 1], `back to ${layer} at step ${step}`));
    assert.deepEqual([...new Set(seen)], layers, "every stop is passed once");
    const back = dragged(even.toReversed(), layers, layers.at(-1), false);
    back.forEach((layer, step) => assert.ok(!step || layer <= back[step - 1]));
    for (const to of even) {
      const [stop] = dragged([to], layers, layers[0], false);
      for (const other of layers) assert.ok(Math.abs(stop - to) <= Math.abs(other - to));
    }
  }
});

test("an arrow key goes from stop to stop, both ways", () => {
  const { layers } = chat(vectors);
  let at = layers[0];
  const walked = [at];
  while (at !== layers.at(-1)) walked.push(at = stopAt(at, at + 1, layers, true));
  assert.deepEqual(walked, layers);
  while (at !== layers[0]) walked.push(at = stopAt(at, at - 1, layers, true));
  assert.deepEqual(walked, [...layers, ...layers.toReversed().slice(1)]);
});

test("a head alone stands beside the same six prompts", () => {
  const table = new AblationTable(chat(ablations));
  const { rates } = table.find({ kind: "zero", where: "last", heads: [[14, 2]], prompt: 0 });
  assert.deepEqual([rates.utility.value, rates.utility.n], [1, 6]);
  const before = table.before("utility", 6);
  assert.deepEqual([before.value, before.n], [5 / 6, 6]);
  assert.equal(table.before("utility", 48).value, chat(ablations).top[0].rates.utility.value, "the published rate stays what it is");
  assert.equal(table.shares(rates), false, "random heads were tried on other prompts");
  assert.equal(table.before("utility", 7), null, "no letters, no tick");
});

test("every rate of every table has a before over as many prompts", () => {
  for (const content of ablations) {
    const table = new AblationTable(content);
    for (const [key, row] of table.rows) {
      const { rates } = table.find({ ...row, prompt: 0 });
      for (const name of ["asr", "as_before", "utility"]) assert.equal(table.before(name, rates[name].n)?.n, rates[name].n, `${content.adapter} ${key} ${name}`);
      assert.equal(table.shares(rates), row.row.k !== undefined);
    }
  }
  for (const content of vectors) {
    const table = new VectorTable(content);
    for (const cell of content.cells) {
      const choice = { ...cell, prompt: 0 };
      for (const role of ["clean", "triggered"]) for (const key of ["asr", "as_before"]) {
        const { n } = table.find(choice).rates[role][key];
        assert.equal(table.rate({ ...choice, scale: 0 }, role, key, n)?.n, n);
        const chance = table.rate({ ...choice, vector: "random" }, role, key, n);
        assert.ok(chance === null || chance.n === n);
      }
    }
  }
});

test("a random vector with fewer prompts is compared over those", () => {
  const table = new VectorTable(chat(vectors));
  const choice = { vector: "paper", layer: 12, scale: 1 };
  assert.equal(table.rate({ ...choice, vector: "random" }, "clean", "as_before", 16), null);
  const few = table.shown({ ...choice, vector: "random" }, "clean");
  assert.equal(few, 6);
  assert.deepEqual(["paper", "random"].map((vector) => table.rate({ ...choice, vector }, "clean", "as_before", few).n), [6, 6]);
});

test("rates are over the same prompts or not compared, and each says its n", () => {
  const rate = (n, value = 0.5) => ({ value, low: 0, high: 1, n });
  assert.equal(overSame(rate(6), rate(48)), null);
  assert.equal(overSame(rate(6), rate(6, 1)).value, 1);
  assert.equal(overSame(null, rate(6)), null);
  assert.equal(rateOver(rate(48), [[0, "P"], [0, "="]], "P", 48).n, 48);
  assert.equal(rateOver(rate(48), [[0, "P"], [0, "="]], "P", 2).value, 0.5);
  assert.equal(rateOver(rate(48), [[0, "P"]], "P", 2), null);
  const words = (...rates) => countsWords(rates.map(([name, n]) => ({ name, rate: n ? rate(n) : null }))).replaceAll("\u00a0", " ");
  assert.equal(words(["ASR", 48], ["as before", 48], ["utility", 48]), "n = 48");
  assert.equal(words(["ASR", 48], ["as before", null], ["utility", 96]), "n = 48, utility n = 96");
});
