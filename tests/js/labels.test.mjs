/**
 * What a reader's labels come to, against Python. BKD_LABELS names a file that tests/test_label_lab.py wrote: pairs
 * of letters with scikit-learn's kappa, Wilson intervals, and a table with labels and their tallies.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { agreementOf, cohenKappa, differing, nextUnlabeled, talliedConditions } from "../../bkdwidgets/widgets/labels/state.js";
import { Labeling } from "../../bkdwidgets/widgets/labels/view.js";
import { wilson } from "../../bkdwidgets/widgets/shared/rates.js";

const lab = { agreementOf, cohenKappa, differing, Labeling, nextUnlabeled, talliedConditions, wilson };
const { rows, rates, table, labels, tallies } = JSON.parse(readFileSync(process.env.BKD_LABELS, "utf8"));
const close = (one, other, where) => assert.ok(Math.abs(one - other) < 1e-9, `${where}: ${one} is not ${other}`);

/** A stand-in for the widget's model. */
function modelWith(values) {
  return { get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes: () => {} };
}

test("intervals are those of bkdwidgets.measurement", () => {
  for (const { hits, n, value, low, high } of rates) {
    const mine = lab.wilson(hits, n);
    close(mine.value, value, "value");
    close(mine.low, low, "low");
    close(mine.high, high, "high");
  }
});

test("kappa is scikit-learn's, and nothing where it is not defined", () => {
  assert.ok(rows.some(({ kappa }) => kappa < 0) && rows.some(({ kappa }) => kappa > 0));
  for (const { pairs, kappa } of rows) {
    const mine = lab.cohenKappa(pairs);
    if (kappa === null) assert.equal(mine, null);
    else close(mine, kappa, JSON.stringify(pairs));
  }
  assert.equal(lab.cohenKappa([["P", "P"], ["P", "P"]]), null);
  assert.equal(lab.cohenKappa([]), null);
});

test("rates by condition are Python's: hers, the rules' on the same, the rules' on all", () => {
  const mine = lab.talliedConditions(table, labels);
  tallies.forEach((told, index) => {
    assert.equal(mine[index].n, told.n);
    for (const rate of ["asr", "cured"]) {
      for (const [whose, expected] of Object.entries(told[rate])) {
        if (expected === null) assert.equal(mine[index][rate][whose], null);
        else for (const part of ["value", "low", "high", "n"]) close(mine[index][rate][whose][part], expected[part], `${index} ${rate} ${whose} ${part}`);
      }
    }
  });
});

test("agreement and differences are of the labeled ones", () => {
  const same = table.items.filter(({ id, letter }) => labels[id] === letter).length;
  assert.deepEqual([lab.agreementOf(table.items, labels).share.n, lab.differing(table.items, labels).length], [13, 13 - same]);
  assert.equal(lab.agreementOf(table.items, {}).share, null);
  assert.equal(lab.agreementOf(table.items, { [table.items[0].id]: "nonsense", other: "P" }).share, null);
});

test("the next one without a label is found, going around", () => {
  assert.equal(lab.nextUnlabeled(table.items, labels, 0), 13);
  assert.equal(lab.nextUnlabeled(table.items, {}, 19), 0);
  assert.equal(lab.nextUnlabeled(table.items, Object.fromEntries(table.items.map(({ id }) => [id, "P"])), 3), -1);
});

test("labels are given, taken back and thrown away; each step can be undone", () => {
  const model = modelWith({ shown: 0 });
  const work = new lab.Labeling(table, model);
  const [first, second] = table.items;
  work.give("P");
  assert.equal(work.at, 1, "at the end means on to the next");
  work.give("?");
  assert.deepEqual(model.get("labels"), { [first.id]: "P", [second.id]: "?" });
  work.undo();
  assert.deepEqual([work.at, work.labels], [1, { [first.id]: "P" }]);
  work.reset();
  assert.deepEqual([work.at, work.labels], [0, {}]);
  work.undo();
  assert.deepEqual(work.labels, { [first.id]: "P" });
  work.undo();
  work.undo();
  assert.deepEqual(work.labels, {}, "there is nothing before the beginning");
});

test("no rule's letter is seen before a label, and a label changed after it counts as changed", () => {
  const model = modelWith({ shown: 0, labels: {} });
  const work = new lab.Labeling(table, model);
  const [first] = table.items;
  work.give("P");
  work.note();
  assert.equal(work.reveals(first), false);
  model.set("shown", 1);
  assert.equal(work.reveals(first), true);
  assert.equal(work.reveals(table.items[1]), false);
  work.note();
  work.at = 0;
  work.give("?");
  assert.equal(work.at, 0, "as one goes, the letter of the rules comes first");
  assert.equal(work.changed, 1);
  work.undo();
  assert.equal(work.changed, 0);
});
