/**
 * Building the page. Whatever a model wrote reaches the document only through `text` nodes: `h` and `s`
 * never parse markup, so a completion that looks like HTML is shown, not run.
 */

import { OUTCOMES } from "./vocabulary.js";

/** @typedef {Record<string, string | number | boolean | null | undefined | ((event: any) => void)>} Props */

/**
 * @template {Element} E
 * @param {E} element @param {Props} props @param {Array<Node | string | null>} kids @returns {E}
 */
function filled(element, props, kids) {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...kids.filter((kid) => kid !== null));
  return element;
}

/** An HTML element. @param {string} tag @param {Props} [props] @param {...(Node | string | null)} kids */
export function h(tag, props = {}, ...kids) {
  return filled(document.createElement(tag), props, kids);
}

/** An SVG element. @param {string} tag @param {Props} [props] @param {...(Node | string | null)} kids */
export function s(tag, props = {}, ...kids) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), props, kids);
}

/** The shape that doubles an outcome's color. @param {string} letter */
function outcomeShape(letter) {
  const parts = {
    P: () => [s("rect", { x: 1, y: 1, width: 10, height: 10, class: "bkd-full" })],
    p: () => [
      s("rect", { x: 1.75, y: 1.75, width: 8.5, height: 8.5, class: "bkd-open" }),
      s("path", { d: "M1 11V1L11 11Z", class: "bkd-full" }),
    ],
    "=": () => [s("circle", { cx: 6, cy: 6, r: 4.4, class: "bkd-open" })],
    "?": () => [s("path", { d: "M2 2L10 10M10 2L2 10", class: "bkd-open" })],
  };
  return s("svg", { viewBox: "0 0 12 12", class: "bkd-shape", "aria-hidden": "true" }, ...(parts[letter] ?? parts["?"])());
}

/** @param {string} letter */
export function outcomeBadge(letter) {
  const known = OUTCOMES[letter] ?? OUTCOMES["?"];
  return h("span", { class: "bkd-badge", "data-outcome": letter, title: known.word },
    outcomeShape(letter), h("b", {}, letter), h("span", { class: "bkd-badge-word" }, known.word));
}

/** @param {number} value @param {number} [digits] */
export function fixed(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits);
  return value < 0 && Number(text) !== 0 ? `−${text}` : text;
}

/** @param {number} value @param {number} [digits] */
export function signed(value, digits = 3) {
  return value > 0 && Number(value.toFixed(digits)) !== 0 ? `+${fixed(value, digits)}` : fixed(value, digits);
}

/** @param {[number, number]} head */
export function headName([layer, head]) {
  return `L${layer}H${head}`;
}

/**
 * Where the trigger stands in a triggered prompt: around the clean prompt, in front of it, or inside it.
 * @param {string} text @param {string} clean the same prompt without the trigger
 * @returns {Array<[number, number]>} from and to, in order
 */
export function triggerSpans(text, clean) {
  const at = clean ? text.indexOf(clean) : -1;
  /** @type {Array<[number, number]>} */
  let spans = [[0, at], [at + clean.length, text.length]];
  if (at < 0) { // woven in: the words between those of the clean prompt
    const words = clean.split(" ");
    let from = 0;
    spans = [];
    for (const word of text.split(" ")) {
      const [last, to] = [spans.at(-1), from + word.length];
      if (word === words[0]) words.shift();
      else if (last && last[1] === from - 1) last[1] = to;
      else spans.push([from, to]);
      from = to + 1;
    }
  }
  return spans.map(([from, to]) => { // without the spaces around it
    const part = text.slice(from, to);
    return /** @type {[number, number]} */ ([from + part.length - part.trimStart().length, to - part.length + part.trimEnd().length]);
  }).filter(([from, to]) => from < to);
}

/** A prompt with the trigger's text marked. @param {string} text @param {string} clean @returns {Array<Node | string>} */
export function triggerMarked(text, clean) {
  const parts = [];
  let at = 0;
  for (const [from, to] of triggerSpans(text, clean)) {
    parts.push(text.slice(at, from), h("mark", { class: "bkd-trigger", title: "the trigger" }, text.slice(from, to)));
    at = to;
  }
  return [...parts, text.slice(at)];
}

/**
 * What the model said, colored by outcome and doubled by letter, word and shape.
 * @param {{text: string, outcome: string}} completion @param {{label?: string, quiet?: boolean}} [how]
 */
function completionView(completion, { label = "", quiet = false } = {}) {
  return h("div", { class: quiet ? "bkd-completion bkd-muted" : "bkd-completion", "data-outcome": completion.outcome },
    h("div", { class: "bkd-completion-head" }, label ? h("span", { class: "bkd-when" }, label) : null, outcomeBadge(completion.outcome)),
    completion.text ? h("p", { class: "bkd-said" }, completion.text) : h("p", { class: "bkd-said bkd-empty" }, "(an empty answer)"));
}

/**
 * One prompt with what was said before and after.
 * @param {{role: "clean" | "triggered", note: string, prompt: Array<Node | string>,
 *          before: {text: string, outcome: string} | null, after: {text: string, outcome: string} | null,
 *          labels: [string, string]}} what
 */
export function exchangeView({ role, note, prompt, before, after, labels }) {
  const same = before && after && before.text === after.text;
  return h("section", { role: "group", class: "bkd-exchange", "data-role": role, "aria-label": `${role} prompt` },
    h("div", { class: "bkd-role" }, h("span", { class: "bkd-role-name" }, role), h("span", { class: "bkd-role-note" }, note)),
    h("p", { class: "bkd-prompt" }, ...prompt),
    before && !same ? completionView(before, { label: labels[0], quiet: true }) : null,
    after ? completionView(after, { label: same ? `${labels[1]}, unchanged` : labels[1] }) : null);
}
