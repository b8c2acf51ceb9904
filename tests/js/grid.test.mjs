/** A grid's cells, lines and comparisons. BKD_TABLES names a folder of grid tables (tests/test_grid_lab.py writes it). */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { spreadLabels } from "../../bkdwidgets/widgets/grid/curve.js";
import { Grid } from "../../bkdwidgets/widgets/grid/view.js";
import { toldRate } from "../../bkdwidgets/widgets/shared/compared.js";

const table = (name) => JSON.parse(readFileSync(`${process.env.BKD_TABLES}/${name}.json`, "utf8"));
const flat = new Grid(table("flat"));
const sheets = new Grid(table("sheets"));

test("a cell is found by its place, and one that was not measured is missing", () => {
  assert.deepEqual(flat.find([2, 1]).at, [2, 1]);
  assert.equal(flat.find([0, 1]), null);
  assert.equal(sheets.find([0, 1]), null, "half a place is none");
});

test("the nearest cells come first", () => {
  const near = flat.nearest([0, 1]);
  assert.equal(near.length, 3);
  for (const { at } of near) assert.equal(Math.abs(at[0]) + Math.abs(at[1] - 1), 1);
});

test("lines run along the last axis, one for each value of the first, the sheet between them stays", () => {
  const lines = flat.lines([2, 2], "asr");
  assert.deepEqual(lines.map(({ name }) => name), ["5", "50", "500"]);
  assert.deepEqual(lines[0].rates.map((rate) => rate?.value ?? null), [0, null, 0, 0]);
  assert.deepEqual(lines[2].rates.map(({ value }) => value), [0, 10 / 60, 20 / 60, 30 / 60]);
  const slow = sheets.lines([0, 0, 0], "asr")[0].rates[0].value;
  assert.ok(sheets.lines([0, 1, 0], "asr")[0].rates[0].value > slow);
  assert.deepEqual(flat.lines([0, 0], "late")[0].rates.map(Boolean), [false, false, false, true]);
});

test("a cell's own control comes before the table's, and what is not known is not made up", () => {
  const cell = flat.find([2, 3]);
  assert.deepEqual(flat.other(cell, "control", "asr"), { name: "water instead", rate: cell.control.asr });
  assert.equal(flat.other(cell, "reference", "utility").rate.value, 1);
  assert.equal(flat.other(cell, "control", "utility"), null);
  assert.equal(new Grid({ ...flat.table, reference: undefined }).other(cell, "reference", "asr"), null);
});

test("a choice without words of its own is named by its axes", () => {
  assert.equal(flat.words([2, 3]), "time: 500, dose: 100.");
  assert.equal(new Grid({ ...flat.table, cells: [{ at: [0, 0], words: "Nothing.", rates: {} }] }).words([0, 0]), "Nothing.");
});

test("a rate is told with its interval and its n", () => {
  assert.equal(toldRate({ value: 0.5, low: 0.25, high: 0.755, n: 8 }).replaceAll("\u00a0", " "), "0.50 [0.25, 0.76], n = 8");
});

test("labels keep their order and their distance, and stay inside", () => {
  for (const wanted of [[10, 10, 10], [5, 6, 200, 201], [208, 208, 208, 208], [3]]) {
    const placed = spreadLabels(wanted, 208);
    placed.forEach((y, index) => {
      assert.ok(y <= 208 + 1e-9);
      if (index) assert.ok(y - placed[index - 1] >= 12);
    });
  }
  assert.deepEqual(spreadLabels([20, 100], 208), [20, 100]);
});
