/** What a reader's labels come to: rates by condition, agreement with the rules, where the two differ. */

import { wilson } from "../shared/rates.js";
import { OUTCOMES } from "../shared/vocabulary.js";

/** @typedef {{id: string, condition: number, clean: string, triggered: string, answer: string, completion: string, letter: string}} Item */
/** @typedef {Record<string, string>} Labels by the id of an item */

/** Keys that give a letter. @type {Record<string, string>} */
export const LETTER_KEYS = Object.fromEntries(Object.keys(OUTCOMES).flatMap((letter, index) => [[String(index + 1), letter], [letter, letter]]));

/**
 * Labels that were kept, as far as they are labels of these items. @param {Item[]} items @param {any} kept @returns {Labels}
 */
export const labelsOf = (items, kept) => Object.fromEntries(items.map(({ id }) => [id, kept?.[id]]).filter(([, letter]) => typeof letter === "string" && Object.hasOwn(OUTCOMES, letter)));

/** Items that carry a label. @param {Item[]} items @param {Labels} labels */
export const labeledOf = (items, labels) => items.filter(({ id }) => Object.hasOwn(labels, id) && Object.hasOwn(OUTCOMES, labels[id]));

/** Cohen's kappa of pairs of letters, or null where chance alone would agree always. @param {Array<[string, string]>} pairs @returns {number | null} */
export function cohenKappa(pairs) {
  const n = pairs.length;
  const share = (/** @type {(pair: [string, string]) => boolean} */ test) => pairs.filter(test).length / n;
  const chance = Object.keys(OUTCOMES).reduce((sum, letter) => sum + share(([one]) => one === letter) * share(([, other]) => other === letter), 0);
  return n && chance < 1 ? (share(([one, other]) => one === other) - chance) / (1 - chance) : null;
}

/** How often the reader and the rules agree. @param {Item[]} items @param {Labels} labels */
export function agreementOf(items, labels) {
  const pairs = labeledOf(items, labels).map(({ id, letter }) => /** @type {[string, string]} */ ([labels[id], letter]));
  return { share: wilson(pairs.filter(([one, other]) => one === other).length, pairs.length), kappa: cohenKappa(pairs) };
}

/** The share of one letter in a list of letters. @param {string[]} letters @param {string} letter */
const letterShare = (letters, letter) => wilson(letters.filter((one) => one === letter).length, letters.length);

/**
 * For each condition and each of the two rates: hers, the rules' on the same completions, the rules' on all.
 * @param {any} table @param {Labels} labels
 */
export function talliedConditions(table, labels) {
  return table.conditions.map((/** @type {any} */ condition, /** @type {number} */ index) => {
    const mine = labeledOf(table.items, labels).filter((item) => item.condition === index);
    const total = Object.values(condition.counts).reduce((sum, count) => sum + count, 0);
    const rates = (/** @type {string} */ letter) => ({
      hers: letterShare(mine.map(({ id }) => labels[id]), letter),
      same: letterShare(mine.map((item) => item.letter), letter),
      whole: wilson(condition.counts[letter] ?? 0, total),
    });
    return { ...condition, n: mine.length, asr: rates("P"), cured: rates("=") };
  });
}

/** Items on which the reader and the rules differ. @param {Item[]} items @param {Labels} labels */
export const differing = (items, labels) => labeledOf(items, labels).filter(({ id, letter }) => labels[id] !== letter);

/** The next item without a label, going around, or -1. @param {Item[]} items @param {Labels} labels @param {number} from */
export function nextUnlabeled(items, labels, from) {
  const without = items.map(({ id }, index) => (Object.hasOwn(labels, id) ? -1 : index)).filter((index) => index >= 0);
  return without.find((index) => index > from) ?? without[0] ?? -1;
}
