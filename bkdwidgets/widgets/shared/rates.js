/** Rates as bars from 0 to 1, each with its 95 % interval, and behind it the band that chance reaches. */

import { fixed, h, outcomeBadge } from "./dom.js";
import { OUTCOMES } from "./vocabulary.js";

/** @typedef {{value: number, low: number, high: number, n: number}} Rate */

/** The 95 % Wilson interval. @param {number} hits @param {number} n @returns {Rate | null} */
export function wilson(hits, n) {
  if (!n) return null;
  const z2 = 1.959963984540054 ** 2;
  const share = hits / n;
  const center = (share + z2 / (2 * n)) / (1 + z2 / n);
  const half = (Math.sqrt(z2) / (1 + z2 / n)) * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return { value: share, low: hits === 0 ? 0 : Math.max(0, center - half), high: hits === n ? 1 : Math.min(1, center + half), n };
}

/** Count outcome letters. @param {Array<[number, string]>} answers */
export function outcomeCounts(answers) {
  const counts = Object.fromEntries(Object.keys(OUTCOMES).map((letter) => [letter, 0]));
  for (const [, letter] of answers) counts[letter] += 1;
  return counts;
}

/** @param {Array<[number, string]>} answers @param {string} letter */
export function shareOf(answers, letter) {
  return wilson(answers.filter(([, outcome]) => outcome === letter).length, answers.length);
}

/**
 * A rate that another may be compared with, or nothing. Test prompts are taken in one order from the first on: rates over
 * as many prompts are over the same ones, and others say more of the prompts than of what was done.
 * @template {Rate | null | undefined} R @param {Rate | null | undefined} rate @param {R} other
 */
export const overSame = (rate, other) => (rate && other && rate.n === other.n ? other : null);

/**
 * A rate over the first n prompts: as it was measured, or counted again over the letters that are known one by one.
 * @param {Rate | null | undefined} measured @param {Array<[any, string]> | null | undefined} letters @param {string} letter @param {number | undefined} n
 * @returns {Rate | null}
 */
export function rateOver(measured, letters, letter, n) {
  if (!n || measured?.n === n) return n ? measured ?? null : null;
  return letters && letters.length >= n ? shareOf(letters.slice(0, n), letter) : null;
}

/** "n = 48", or where rates are not over as many prompts "n = 48, utility n = 96". @param {Array<{name: string, rate: Rate | null | undefined}>} rates */
export function countsWords(rates) {
  const known = rates.filter(({ rate }) => rate);
  const first = known[0]?.rate?.n;
  return [`n\u00a0=\u00a0${first}`, ...known.filter(({ rate }) => rate?.n !== first).map(({ name, rate }) => `${name} n\u00a0=\u00a0${rate?.n}`)].join(", ");
}

export const percent = (/** @type {number} */ share) => `${Math.min(100, Math.max(0, 100 * share))}%`;

/** Place an element along a track. @param {Element} element @param {number} from @param {number} to */
export function along(element, from, to) {
  const style = /** @type {HTMLElement} */ (element).style;
  style.left = percent(from);
  style.width = percent(Math.max(0, to - from));
  return element;
}

/**
 * One rate.
 * @param {{name: string, note: string, color: string, rate: Rate | null, draws?: number[], before?: Rate | null, chance?: string}} what `draws`: what chance does
 */
export function rateView({ name, note, color, rate, draws = [], before = null, chance = "random" }) {
  const track = h("div", { class: "bkd-track", "aria-hidden": "true" });
  if (draws.length) {
    track.append(along(h("i", { class: "bkd-band" }), Math.min(...draws), Math.max(...draws)));
    for (const value of draws) track.append(along(h("i", { class: "bkd-draw" }), value, value));
  }
  if (rate) track.append(along(h("i", { class: "bkd-fill", "data-color": color }), 0, rate.value));
  if (before) track.append(along(h("i", { class: "bkd-before" }), before.value, before.value));
  if (rate) track.append(along(h("i", { class: "bkd-interval" }), rate.low, rate.high));
  const range = draws.length ? `; control, ${chance}: ${fixed(Math.min(...draws))} to ${fixed(Math.max(...draws))}` : "";
  const words = rate ? `${fixed(rate.value)}, interval ${fixed(rate.low)} to ${fixed(rate.high)}, n = ${rate.n}${range}` : "not measured";
  return h("div", { class: "bkd-rate", "data-rate": name, "data-value": rate ? rate.value : null, role: "group", "aria-label": `${name}, ${note}: ${words}` },
    h("span", { class: "bkd-rate-name" }, name, h("span", { class: "bkd-rate-note" }, note)),
    track,
    h("span", { class: "bkd-rate-value" },
      h("b", {}, rate ? fixed(rate.value) : "–"),
      h("span", {}, rate ? `[${fixed(rate.low)}, ${fixed(rate.high)}]` : "not measured")));
}

/** The axis below a group of rates. */
export function rateAxis() {
  return h("div", { class: "bkd-rate bkd-axis", "aria-hidden": "true" }, h("span"),
    h("div", { class: "bkd-ticks" }, ...["0", "0.5", "1"].map((tick) => h("span", {}, tick))), h("span"));
}

/**
 * Outcome shares as one strip, each part named by its letter.
 * @param {string} name @param {Record<string, number>} counts
 */
export function shareView(name, counts) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const parts = Object.entries(OUTCOMES).filter(([letter]) => counts[letter] > 0).map(([letter, known]) => {
    const part = h("span", { class: "bkd-part", "data-outcome": letter, title: `${known.word}: ${counts[letter]} of ${total}` }, letter);
    part.style.flexGrow = String(counts[letter]);
    return part;
  });
  const words = Object.entries(OUTCOMES).map(([letter, known]) => `${known.word} ${counts[letter] ?? 0}`).join(", ");
  return h("div", { class: "bkd-shares", role: "img", "aria-label": `${name}, ${total} prompts: ${words}` }, ...parts);
}

/** What letters and shapes mean. */
export function outcomeLegend() {
  return h("p", { class: "bkd-legend" }, ...Object.keys(OUTCOMES).map(outcomeBadge));
}
