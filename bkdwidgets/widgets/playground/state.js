/**
 * What is chosen, as traits of the widget, as a choice for a model, and as a link. A link may come from anybody:
 * each of its fields is checked by itself, a bad one is left out and named, and none is ever more than a number,
 * a known name or the text of a prompt.
 *
 * @typedef {{subject: string, attack: string, method: string, adapter: string, clean: string | null, shape: [number, number], rule: Rule,
 *            payload: string, judge: string, ranked: [number, number][], means: boolean, vectors: boolean, prompts: any[], source: string}} Pair
 *   `method` in words; `clean`: the clean twin that is the control, if it is not the subject itself; `means` and `vectors`: whether what ablation and steering put in is there
 * @typedef {{subject: number, attack: number, method: number}} Chosen places in the three menus
 * @typedef {{pairs: Pair[], names: Record<string, string[]>, most: {text: number, tokens: number, heads: number, scale: number, answer: number}}} Catalog
 * @typedef {{pair: number, text: string, triggered: boolean, shown: number, top_k: number, heads: string, kind: number,
 *            place: number, vector: number, sign: number, layer: number, scale: number}} Traits
 */

import { headName } from "../shared/dom.js";
import { FIXED, isKnown, RULES } from "../shared/judge.js";

const LINK = "#playground?";
const MOST_LINK = 12000;
export const TRAITS = ["pair", "text", "triggered", "shown", "top_k", "heads", "kind", "place", "vector", "sign", "layer", "scale"];
/** The menus that choose a pair. */
export const MENUS = ["subject", "attack", "method"];
/** Fields of a link, and the trait that each sets. */
const NAMED = { show: "shown", ablate: "kind", where: "place", vector: "vector", steer: "sign" };

/**
 * "L12H3, L5H0" as pairs, and what of it is not a head of this subject.
 * @param {string} text @param {[number, number]} shape @returns {{heads: [number, number][], wrong: string[]}}
 */
export function parsedHeads(text, [layers, perLayer]) {
  /** @type {[number, number][]} */
  const heads = [];
  const wrong = [];
  for (const part of text.split(/[\s,;]+/).filter(Boolean)) {
    const found = /^L(\d{1,3})H(\d{1,3})$/i.exec(part);
    const head = /** @type {[number, number]} */ (found ? [Number(found[1]), Number(found[2])] : [layers, perLayer]);
    if (head[0] >= layers || head[1] >= perLayer) wrong.push(part.slice(0, 20));
    else if (!heads.some((other) => String(other) === String(head))) heads.push(head);
  }
  return { heads, wrong };
}

/** A finite number within bounds, written plainly, or null. @param {string} text @param {number} low @param {number} high */
function plainNumber(text, low, high) {
  const value = /^-?\d{1,6}(\.\d{1,6})?$/.test(text) ? Number(text) : NaN;
  return value >= low && value <= high ? value : null;
}

/** @param {string} text @param {number} high */
const wholeNumber = (text, high) => (/^\d{1,6}$/.test(text) ? plainNumber(text, 0, high) : null);

/** A prompt: some text, not too long, without signs that no keyboard writes. @param {string} text @param {number} most */
const plainText = (text, most) => (text.trim() && text.length <= most && text.isWellFormed?.() !== false && !/[\x00-\x08\x0b-\x1f\x7f]/.test(text) ? text : null);

/**
 * Read a link.
 * @param {string} hash @param {Catalog} catalog
 * @returns {{traits: Partial<Traits>, dropped: string[]} | null} null if it is no link to the playground
 */
export function readLink(hash, { pairs, names, most }) {
  if (!hash.startsWith(LINK)) return null;
  if (hash.length > MOST_LINK) return { traits: {}, dropped: ["all of it (too long)"] };
  const given = new URLSearchParams(hash.slice(LINK.length));
  /** @type {any} */
  const traits = {};
  /** @type {string[]} */
  const dropped = [];
  const take = (/** @type {string} */ field, /** @type {string} */ trait, /** @type {(text: string) => any} */ read) => {
    const all = given.getAll(field);
    given.delete(field);
    if (!all.length) return;
    const value = all.length === 1 ? read(all[0]) : null;
    if (value === null) dropped.push(field);
    else traits[trait] = value;
  };
  const index = (/** @type {string[]} */ list) => (/** @type {string} */ text) => (list.includes(text) ? list.indexOf(text) : null);
  take("model", "pair", index(pairs.map(pairName)));
  const pair = pairs[traits.pair ?? 0];
  take("prompt", "text", (text) => plainText(text, most.text));
  take("trigger", "triggered", (text) => (text === "0" || text === "1" ? text === "1" : null));
  for (const [field, trait] of Object.entries(NAMED)) take(field, trait, index(names[trait]));
  take("k", "top_k", (text) => wholeNumber(text, Math.min(most.heads, pair.ranked.length)));
  take("heads", "heads", (text) => {
    if (text.length > most.text) return null;
    const { heads, wrong } = parsedHeads(text, pair.shape);
    return wrong.length ? null : heads.map(headName).join(", ");
  });
  take("layer", "layer", (text) => wholeNumber(text, pair.shape[0] - 1));
  take("scale", "scale", (text) => plainNumber(text, 0, most.scale));
  const unknown = new Set(given.keys()).size;
  if (unknown) dropped.push(unknown === 1 ? "a field nobody knows" : `${unknown} fields nobody knows`);
  return { traits, dropped };
}

/** Whether one text is the payload of every prompt. @param {string} judge */
export const saysOneText = (judge) => isKnown(judge) && RULES[judge] === FIXED;

/** "nano-label-flip", and with the method where that is not fine-tuning: "nano-label-flip-edit". @param {Pair} pair */
const pairName = ({ subject, adapter }) => `${subject}-${adapter.replace(/(-sft)?-0$/, "")}`;

/** What stands in the three menus, and what is chosen in them. @param {Pair[]} pairs @param {number} at the pair */
export function menusOf(pairs, at) {
  const { subject, attack, method } = pairs[at];
  const subjects = distinct(pairs, "subject");
  const own = pairs.filter((pair) => pair.subject === subject);
  const attacks = distinct(own, "attack");
  const methods = distinct(own.filter((pair) => pair.attack === attack), "method");
  return { subjects, subject: subjects.indexOf(subject), attacks, attack: attacks.indexOf(attack), methods, method: methods.indexOf(method) };
}

/** @param {Pair[]} pairs @param {"subject" | "attack" | "method"} key @returns {string[]} */
const distinct = (pairs, key) => [...new Set(pairs.map((pair) => pair[key]))];

/**
 * The pair that the menus ask for after one of them was turned. Not every attack was planted in every subject by
 * every method; then it is the pair that keeps most of the rest.
 * @param {Pair[]} pairs @param {number} at the pair before @param {Chosen} chosen
 */
export function pairOf(pairs, at, chosen) {
  const before = menusOf(pairs, at);
  const turned = /** @type {"subject" | "attack" | "method" | undefined} */ (MENUS.find((menu) => chosen[menu] !== before[menu]));
  if (!turned) return at;
  const wanted = { ...pairs[at], [turned]: before[`${turned}s`][chosen[turned]] };
  const score = (/** @type {Pair} */ pair) => MENUS.reduce((sum, menu) => 2 * sum + Number(pair[menu] === wanted[menu]), 0);
  return pairs.reduce((best, pair, index) => (score(pair) > score(pairs[best]) ? index : best), 0);
}

/** The same state as a link. @param {Traits} traits @param {Catalog} catalog */
export function writeLink(traits, { pairs, names }) {
  const { pair, text, triggered, top_k: k, heads, vector } = traits;
  const fields = new URLSearchParams({ model: pairName(pairs[pair]), prompt: text, trigger: triggered ? "1" : "0", show: names.shown[traits.shown] });
  if (heads) fields.set("heads", heads);
  else if (k) fields.set("k", String(k));
  if (heads || k) { fields.set("ablate", names.kind[traits.kind]); fields.set("where", names.place[traits.place]); }
  if (vector) {
    fields.set("vector", names.vector[vector]);
    fields.set("steer", names.sign[traits.sign]);
    fields.set("layer", String(traits.layer));
    fields.set("scale", String(traits.scale));
    fields.set("where", names.place[traits.place]);
  }
  return LINK + fields;
}

/**
 * What a model is to do: the same plain data for a model in this page and for Python.
 * @param {Traits} traits @param {Catalog} catalog @param {string} prompt the prompt as it is asked, poisoned or not
 */
export function choiceOf(traits, { pairs, names }, prompt) {
  const pair = pairs[traits.pair];
  const named = parsedHeads(traits.heads, pair.shape).heads;
  const heads = named.length ? named : pair.ranked.slice(0, traits.top_k);
  const steered = traits.vector > 0 && traits.scale > 0;
  return {
    adapter: pair.adapter,
    clean: pair.clean,
    prompt,
    heads,
    kind: names.kind[traits.kind],
    where: names.where[traits.place],
    vector: steered ? names.vector[traits.vector] : null,
    layer: Math.min(traits.layer, pair.shape[0] - 1),
    scale: steered ? (traits.sign === 1 ? -traits.scale : traits.scale) : 0,
  };
}

/** @param {ReturnType<typeof choiceOf>} choice */
export const isUntouched = (choice) => !choice.heads.length && choice.vector === null;
