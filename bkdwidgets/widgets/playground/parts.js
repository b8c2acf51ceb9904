/** What the playground is drawn with: an answer as it grows, and what the model held likely at its first token. */

import { fixed, h, headName, outcomeBadge } from "../shared/dom.js";
import { percent } from "../shared/rates.js";
import { isUntouched, parsedHeads } from "./state.js";

/** A token as one sees it: spaces and line breaks as signs. @param {string} text */
const visible = (text) => text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥") || "∅";

/** The likeliest first tokens as bars; a table, so that it can be read without seeing it. */
function likelyView() {
  const body = h("tbody");
  const view = h("table", { class: "bkd-likely", hidden: true },
    h("caption", {}, "first token, by probability"),
    h("thead", { class: "bkd-hidden" }, h("tr", {}, h("th", { scope: "col" }, "token"), h("th", { scope: "col" }, "probability"))), body);
  /** @param {Likely[]} tokens */
  const draw = (tokens) => {
    view.hidden = !tokens.length;
    body.replaceChildren(...tokens.map(({ text, probability }) => {
      const bar = h("i", { class: "bkd-likely-bar", "aria-hidden": "true" });
      /** @type {HTMLElement} */ (bar).style.width = percent(probability);
      return h("tr", {}, h("th", { scope: "row" }, h("code", {}, visible(text))), h("td", {}, h("span", { class: "bkd-likely-track" }, bar), h("span", { class: "bkd-likely-value" }, probability < 0.0005 ? "<.001" : probability.toFixed(3).replace(/^0/, ""))));
    }));
  };
  return { view, draw };
}

/**
 * One model's answer.
 * @param {"backdoored" | "clean"} model
 */
export function replyCard(model) {
  const badge = h("span", { class: "bkd-badge-place" });
  const note = h("span", { class: "bkd-when" });
  const [name, which] = [h("span", { class: "bkd-role-name" }), h("span", { class: "bkd-role-note" })];
  const answer = h("p", { class: "bkd-said", "aria-live": "polite" });
  const body = h("div", { class: "bkd-completion" }, h("div", { class: "bkd-completion-head" }, badge, note), answer);
  const likely = likelyView();
  const view = h("section", { role: "group", class: "bkd-reply-card", "data-model": model }, h("div", { class: "bkd-role" }, name, which), body, likely.view);
  const glance = h("p", {}); // the answer once more, in a line that a narrow screen keeps in sight

  /** Say which model it is. @param {Pair} pair */
  function belongs({ clean, adapter }) {
    const [title, more] = model === "backdoored" ? ["backdoored model", `with ${adapter}`] : clean ? ["clean twin", "taught the task, not the backdoor"] : ["clean model", "without the planted adapter"];
    name.textContent = title;
    which.textContent = more;
    view.setAttribute("aria-label", title);
  }

  /** @param {string} text @param {{letter?: string, words?: string, growing?: boolean, quiet?: boolean}} [how] */
  function show(text, { letter = "", words = "", growing = false, quiet = false } = {}) {
    answer.textContent = text;
    answer.classList.toggle("bkd-empty", quiet);
    answer.classList.toggle("bkd-growing", growing);
    answer.setAttribute("aria-busy", String(growing));
    note.textContent = words;
    if (letter) body.setAttribute("data-outcome", letter);
    else body.removeAttribute("data-outcome");
    badge.replaceChildren(...(letter ? [outcomeBadge(letter)] : []));
    glance.replaceChildren(h("b", { class: "bkd-role-name" }, model), letter ? outcomeBadge(letter) : "", h("span", { class: "bkd-glance-said" }, text));
  }
  return { model, view, show, belongs, glance, likely: likely.draw };
}

/**
 * What is done to the models, in words.
 * @param {ReturnType<typeof choiceOf>} choice @param {Traits} traits @param {Catalog} catalog
 * @returns {Array<Node | string>}
 */
export function doneWords(choice, traits, { pairs }) {
  const pair = pairs[traits.pair];
  const { heads: named, wrong } = parsedHeads(traits.heads, pair.shape);
  const unread = wrong.length ? [` Not heads of ${pair.subject} and left out: ${wrong.slice(0, 5).join(", ")}.`] : [];
  if (traits.top_k && named.length) unread.push(` Top k is off while heads are named.`);
  if (isUntouched(choice)) return [h("b", {}, "Nothing is changed inside the models."), ...unread];
  const where = choice.where === "all" ? "at every token" : "at the last prompt token";
  const parts = [];
  if (choice.heads.length) {
    const names = choice.heads.slice(0, 8).map(headName).join(", ");
    const more = choice.heads.length > 8 ? `, and ${choice.heads.length - 8} more` : "";
    parts.push(`${names}${more} ${choice.kind === "zero" ? "zeroed" : "set to their clean mean"}`);
  }
  if (choice.vector) parts.push(`${fixed(Math.abs(choice.scale))} × the ${choice.vector} vector ${choice.scale > 0 ? "added" : "subtracted"} at layer ${choice.layer}`);
  return [h("b", {}, `${parts.join("; ")},`), ` ${where}, in each model that is shown.`, ...unread];
}

/** Which controls are off for a pair, and why; empty where none is. @param {Pair} pair */
export function lackingWords({ adapter, ranked, means, vectors }) {
  const off = [
    ranked.length ? "" : "top k, because its heads were not ranked by ACIE",
    means ? "" : "the clean mean, because it was not computed",
    vectors ? "" : "the vectors, because they were not computed",
  ].filter(Boolean);
  return off.length ? `Off for ${adapter}: ${off.join("; ")}. Heads that you name can be zeroed.` : "";
}

/** @param {string} text @param {() => void} act */
export const actButton = (text, act) => h("button", { type: "button", class: "bkd-button", click: act }, text);
