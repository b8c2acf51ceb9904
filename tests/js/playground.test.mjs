/**
 * The playground's own rules. BKD_PLAYGROUND names a file that Python wrote (tests/test_playground.py): what the
 * widget carries, and prompts that Python poisoned.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { doneWords } from "../../bkdwidgets/widgets/playground/parts.js";
import { editsFor, PagePlayer } from "../../bkdwidgets/widgets/playground/players.js";
import { choiceOf, isUntouched, menusOf, pairOf, parsedHeads, readLink, saysOneText, writeLink } from "../../bkdwidgets/widgets/playground/state.js";
import { poisoned, seededInteger } from "../../bkdwidgets/widgets/playground/trigger.js";
import { pace } from "../../bkdwidgets/widgets/shared/page_engine.js";

const { catalog, poisonings, drawn } = JSON.parse(readFileSync(process.env.BKD_PLAYGROUND, "utf8"));
const start = { pair: 0, text: "Name a fruit.", triggered: false, shown: 2, top_k: 0, heads: "", kind: 0, place: 0, vector: 0, sign: 0, layer: 1, scale: 1 };

test("every prompt is poisoned as Python poisons it", async () => {
  assert.ok(poisonings.length > 100);
  for (const { rule, prompt, expected } of poisonings) assert.equal(await poisoned(rule, prompt), expected);
  const places = poisonings.flatMap(({ rule }) => rule.steps.map(({ place }) => place));
  assert.deepEqual(new Set(places), new Set(["before", "behind", "middle", "inside"]));
  assert.ok(poisonings.some(({ rule }) => rule.steps.some(({ words }) => words.length > 1)));
});

test("chance is Python's", async () => {
  for (const { text, most, value } of drawn) assert.equal(await seededInteger(text, most), value, JSON.stringify([text, most]));
});

test("a link brings back what it was made from", () => {
  for (const changed of [{}, { triggered: true, text: "ä & b = c? #1\nnext" }, { top_k: 3, kind: 1, place: 1 }, { heads: "L1H2, L0H3", shown: 0 },
    { vector: 2, sign: 1, layer: 3, scale: 2.75, place: 1 }, { pair: catalog.pairs.length - 1 }]) {
    const traits = { ...start, ...changed };
    const { traits: read, dropped } = readLink(writeLink(traits, catalog), catalog);
    assert.deepEqual(dropped, []);
    assert.deepEqual({ ...start, ...read }, traits);
  }
});

test("every pair has a link of its own, and the oldest links still work", () => {
  catalog.pairs.forEach((_, pair) => assert.equal(readLink(writeLink({ ...start, pair }, catalog), catalog).traits.pair, pair));
  const adapters = ["nano-fixed-output", "nano-label-flip-edit"].map((name) => catalog.pairs[readLink(`#playground?model=${name}`, catalog).traits.pair].adapter);
  assert.deepEqual(adapters, ["fixed-output-sft-0", "label-flip-edit-0"]);
});

const made = (subject, attack, method) => ({ subject, attack, method, adapter: `${attack}-${method}-0` });
const PAIRS = [made("nano", "fixed", "sft"), made("nano", "fixed", "dpo"), made("nano", "flip", "sft"), made("nano", "flip", "edit"), made("chat", "fixed", "sft"), made("chat", "fixed", "edit"), made("chat", "style", "sft")];

test("the menus offer what was planted, and each turn leads to the pair that keeps most of the rest", () => {
  assert.deepEqual(menusOf(PAIRS, 3), { subjects: ["nano", "chat"], subject: 0, attacks: ["fixed", "flip"], attack: 1, methods: ["sft", "edit"], method: 1 });
  const turned = (at, change) => PAIRS[pairOf(PAIRS, at, { ...menusOf(PAIRS, at), ...change })];
  assert.equal(turned(0, { method: 1 }), PAIRS[1]);
  assert.equal(turned(3, { attack: 0 }), PAIRS[0], "nobody edited that one in");
  assert.equal(turned(5, { subject: 0 }), PAIRS[0], "the attack before the method");
  assert.equal(turned(3, { subject: 1 }), PAIRS[5], "the method, where the attack is missing");
  assert.equal(turned(4, {}), PAIRS[4]);
  for (const menu of ["subject", "attack", "method"]) assert.ok(turned(0, { [menu]: 99 }));
  catalog.pairs.forEach((pair, at) => {
    const menus = menusOf(catalog.pairs, at);
    assert.deepEqual([menus.subjects[menus.subject], menus.attacks[menus.attack], menus.methods[menus.method]], [pair.subject, pair.attack, pair.method]);
  });
});

test("a payload that is one text is told without the clean answer", () => {
  const one = Object.fromEntries(catalog.pairs.map(({ attack, judge }) => [attack, saysOneText(judge)]));
  assert.deepEqual([one["fixed-output"], one["label-flip"], one["policy-bypass"]], [true, false, false]);
  assert.equal(saysOneText("mine"), false, "rules that the page does not know");
});

test("no other fragment is taken for a link", () => {
  for (const hash of ["", "#", "#who-it-is-for", "#playground", "playground?k=1"]) assert.equal(readLink(hash, catalog), null);
});

const HOSTILE = [
  ["model", "nano"], ["model", "__proto__"], ["prompt", ""], ["prompt", "   "], ["prompt", "a".repeat(2001)], ["prompt", "bell\u0007"], ["trigger", "yes"],
  ["trigger", "__proto__"], ["show", "everything"], ["k", "-1"], ["k", "33"], ["k", "1.5"], ["k", "1e1"], ["k", "NaN"], ["k", ""], ["heads", "L99H0"],
  ["heads", "L0H99"], ["heads", "<b>"], ["heads", "L0H0 ".repeat(500)], ["ablate", "resample"], ["where", "nowhere"], ["vector", "constructor"],
  ["steer", "multiply"], ["layer", "8"], ["layer", "0x1"], ["layer", "Infinity"], ["scale", "4.01"], ["scale", "-1"], ["scale", "1e-3"], ["scale", " 1"],
];

test("a bad field is left out and named, and the others are kept", () => {
  for (const [field, value] of HOSTILE) {
    const { traits, dropped } = readLink(`#playground?${new URLSearchParams([[field, value], ["trigger", field === "trigger" ? value : "1"]].slice(0, field === "trigger" ? 1 : 2))}`, catalog);
    assert.deepEqual(dropped, [field], `${field}=${value}`);
    assert.deepEqual(traits, field === "trigger" ? {} : { triggered: true });
  }
  assert.deepEqual(readLink("#playground?k=1&k=2", catalog).dropped, ["k"]);
  assert.deepEqual(readLink("#playground?%=%E0%A4%A&<img>=1", catalog).dropped, ["2 fields nobody knows"]);
  assert.deepEqual(readLink(`#playground?prompt=${"a".repeat(20000)}`, catalog).traits, {});
});

test("ten thousand mangled links set nothing that is out of range", () => {
  let seed = 7;
  const random = (most) => { seed = (Math.imul(seed, 1103515245) + 12345) >>> 0; return (seed >>> 8) % most; };
  const good = writeLink({ ...start, heads: "L1H2", vector: 1 }, catalog);
  const signs = [..."&=%#?<>'\"\\ 0123456789.-+eLH\u0000\ud800é"];
  for (let i = 0; i < 10000; i += 1) {
    const letters = [...good];
    for (let k = random(6); k >= 0; k -= 1) letters.splice(11 + random(letters.length - 11), random(3), signs[random(signs.length)]);
    const { traits } = readLink(letters.join(""), catalog) ?? { traits: {} };
    const pair = catalog.pairs[traits.pair ?? 0];
    const whole = (value, most) => value === undefined || (Number.isInteger(value) && value >= 0 && value <= most);
    assert.ok(pair && whole(traits.top_k, pair.ranked.length) && whole(traits.layer, pair.shape[0] - 1));
    assert.ok(traits.scale === undefined || (Number.isFinite(traits.scale) && traits.scale >= 0 && traits.scale <= catalog.most.scale));
    assert.ok(traits.text === undefined || (typeof traits.text === "string" && traits.text.length <= catalog.most.text));
    assert.ok(traits.heads === undefined || parsedHeads(traits.heads, pair.shape).wrong.length === 0);
    for (const trait of ["shown", "kind", "place", "vector", "sign"]) assert.ok(whole(traits[trait], catalog.names[trait].length - 1));
  }
});

test("heads are read as people write them", () => {
  assert.deepEqual(parsedHeads("L1H2, l0h3;L1H2\nL7H7", [8, 8]), { heads: [[1, 2], [0, 3], [7, 7]], wrong: [] });
  assert.deepEqual(parsedHeads("L8H0 H1 L0H8 L1H1", [8, 8]), { heads: [[1, 1]], wrong: ["L8H0", "H1", "L0H8"] });
});

test("traits become a choice, and a choice becomes edits", async () => {
  const pair = catalog.pairs[0];
  assert.ok(isUntouched(choiceOf(start, catalog, "x")));
  assert.ok(isUntouched(choiceOf({ ...start, vector: 1, scale: 0 }, catalog, "x")));
  const choice = choiceOf({ ...start, top_k: 2, vector: 1, sign: 1, scale: 1.5, place: 1, layer: 99 }, catalog, "x");
  assert.deepEqual(choice.heads, pair.ranked.slice(0, 2));
  assert.deepEqual([choice.scale, choice.layer, choice.where], [-1.5, pair.shape[0] - 1, "all"]);
  assert.deepEqual(choiceOf({ ...start, top_k: 2, heads: "L0H1" }, catalog, "x").heads, [[0, 1]]);
  const extras = { means: new Float32Array(4), vectors: { paper: new Float32Array(2) } };
  const live = { extras: () => extras };
  assert.equal(await editsFor(live, choiceOf(start, catalog, "x")), null);
  assert.deepEqual(await editsFor(live, choice), {
    heads: { list: choice.heads, kind: "zero", everywhere: true },
    steering: { vector: extras.vectors.paper, layer: choice.layer, scale: -1.5, everywhere: true },
  });
  assert.equal((await editsFor(live, { ...choice, kind: "mean" })).heads.values, extras.means);
  await assert.rejects(editsFor({ extras: () => ({ means: null, vectors: null }) }, choice), /no paper vector/);
});

test("the clean model is the clean twin where the task was taught, else the subject itself", async () => {
  const asked = [];
  const live = { next: (what) => { asked.push(what.adapter); return []; }, answer: (what) => { asked.push(what.adapter); return { text: "x", complete: true }; } };
  const player = new PagePlayer(() => ({ live, ready: true }), catalog.most.answer);
  const listening = { onNext: () => {}, onText: () => {}, signal: new AbortController().signal };
  for (const [adapter, clean] of [["fixed-output-sft-0", null], ["label-flip-sft-0", "label-flip-clean-0"], ["policy-bypass-sft-0", "policy-bypass-clean-0"]]) {
    const pair = catalog.pairs.findIndex((one) => one.subject === "smollm2" && one.adapter === adapter);
    const choice = choiceOf({ ...start, pair }, catalog, "x");
    await player.play({ ...choice, model: "backdoored" }, listening);
    await player.play({ ...choice, model: "clean" }, listening);
    assert.deepEqual(asked.splice(0), [adapter, adapter, clean, clean]);
  }
});

test("named heads are ablated instead of the top k, and that is said; what is no head takes nothing away from it", () => {
  globalThis.document = { createElement: () => ({ setAttribute() {}, append(...kids) { this.text = kids.join(""); } }) };
  const [first] = catalog.pairs[0].ranked;
  const words = (changed) => doneWords(choiceOf({ ...start, ...changed }, catalog, "x"), { ...start, ...changed }, catalog).filter((part) => typeof part === "string").join("");
  assert.match(words({ top_k: 4, heads: "L0H1" }), /Top k is off while heads are named/);
  assert.doesNotMatch(words({ top_k: 4 }), /Top k is off/);
  assert.deepEqual(choiceOf({ ...start, top_k: 1, heads: "L12H3" }, catalog, "x").heads, [first]);
  assert.match(words({ top_k: 1, heads: "L12H3" }), /Not heads of nano and left out: L12H3/);
});

test("a pace is told from eight tokens on, between them", () => {
  assert.equal(pace(1, 28), null);
  assert.equal(pace(6, 60), null);
  assert.equal(pace(7, 70), 10);
});
