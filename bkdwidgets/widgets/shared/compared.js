/** A rate and what it is compared with, each in numbers: value, interval, n. */

import { fixed, h } from "./dom.js";
import { along, overSame, rateView } from "./rates.js";

/** Never broken over two lines. @param {number} n */
const countWords = (n) => `n\u00a0=\u00a0${n}`;

/** "0.98 [0.93, 0.99], n = 60" @param {Rate} rate */
export const toldRate = ({ value, low, high, n }) => `${fixed(value)} [${fixed(low)},\u00a0${fixed(high)}], ${countWords(n)}`;

/**
 * One rate as a bar, and below it the numbers it stands beside, each in a line of its own. Drawn into the bar are only
 * those over the same prompts.
 * @typedef {{name: string, rate: Rate | null | undefined}} Other
 * @param {{name: string, note: string, color: string, rate: Rate | null, dotted?: Other | null, gray?: Other | null}} what
 *   `dotted` and `gray`: compared with, in the order in which they are named
 */
export function comparedRate({ name, note, color, rate, dotted = null, gray = null }) {
  const others = [{ ...dotted, key: "┈" }, { ...gray, key: "▒" }].filter((other) => other.rate);
  const [before, chance] = [dotted, gray].map((other) => overSame(rate, other?.rate));
  const bar = rateView({ name, note, color, rate, before, draws: chance ? [chance.value] : [], chance: gray?.name ?? "" });
  for (const value of rate?.per_seed ?? []) bar.querySelector(".bkd-track")?.append(along(h("i", { class: "bkd-seed" }), value, value));
  const lines = others.map((other) => h("span", { class: "bkd-other" },
    h("span", { class: "bkd-other-name" }, `${overSame(rate, other.rate) ? `${other.key} ` : ""}${other.name}`), ` ${toldRate(/** @type {Rate} */ (other.rate))}`));
  return h("div", { class: "bkd-compared" }, bar, h("p", { class: "bkd-beside" }, rate ? h("span", { class: "bkd-other" }, countWords(rate.n)) : null, ...lines));
}
