/**
 * What came of a choice, once more: aloud for those who do not see it, and in two lines that stay on the screen of a
 * phone while the answer itself is above or below it. Both are read off the answer, so they cannot say anything else.
 */

import { fixed, h, outcomeBadge } from "./dom.js";
import { OUTCOMES } from "./vocabulary.js";

const QUIET_MS = 700;

/** Each answer of a lab: to which prompt, its outcome, its text. @param {Element} reply */
function answersOf(reply) {
  return [...reply.querySelectorAll(".bkd-exchange")].flatMap((part) => {
    const after = [...part.querySelectorAll(".bkd-completion")].at(-1);
    if (!after) return [];
    const { role = "" } = /** @type {HTMLElement} */ (part).dataset;
    const { outcome = "?" } = /** @type {HTMLElement} */ (after).dataset;
    return [{ role, outcome, text: after.querySelector(".bkd-said")?.textContent ?? "" }];
  });
}

/** Each rate of a lab, as its bar says it. @param {Element} reply */
function barsOf(reply) {
  return [...reply.querySelectorAll("[data-rate]")].map((bar) => {
    const { role = "" } = /** @type {HTMLElement} */ (bar.closest("[data-role]"))?.dataset ?? {};
    const { rate: name = "", value = "" } = /** @type {HTMLElement} */ (bar).dataset;
    return { role, name, value: value === "" ? "–" : fixed(Number(value)) };
  });
}

/** All of it in words. @param {Element} reply */
function spoken(reply) {
  const notes = [...reply.querySelectorAll(".bkd-missing > p")].map((note) => note.textContent);
  const answers = answersOf(reply).map(({ role, outcome, text }) => `${role} prompt, ${OUTCOMES[outcome]?.word}: ${text || "an empty answer"}`);
  const rates = reply.querySelector("[data-counting]") ? [] : barsOf(reply).map(({ role, name, value }) => `${role ? `${role} ` : ""}${name} ${value}`);
  return [...notes, ...answers, rates.join(", ")].filter(Boolean).map((part) => part?.replace(/[.\s]*$/, ".")).join(" ");
}

/** A line for the rates, unless there are two sets of them, and one for each answer. @param {Element} reply */
function glanced(reply) {
  const answers = answersOf(reply).map(({ role, outcome, text }) => h("p", { "data-role": role }, h("b", { class: "bkd-role-name" }, role), outcomeBadge(outcome), h("span", { class: "bkd-glance-said" }, text)));
  const rates = barsOf(reply).filter(({ role }) => !role).map(({ name, value }) => h("span", {}, `${name} `, h("b", {}, value)));
  return rates.length ? [...answers, h("p", { class: "bkd-glance-rates" }, ...rates)] : answers;
}

/**
 * @param {HTMLElement} el @param {HTMLElement} reply where the answers stand
 * @returns {() => void} how to stop
 */
export function retold(el, reply) {
  const glance = h("div", { class: "bkd-glance", "aria-hidden": "true" });
  const aloud = h("p", { class: "bkd-hidden bkd-aloud", role: "status" });
  el.querySelector(".bkd-main")?.before(glance);
  el.append(aloud);
  let last = "";
  let timer = 0;
  function say() {
    if (reply.hasAttribute("aria-busy")) return; // what stands there is the answer to an older choice
    const now = spoken(reply);
    // What a lab opens with is read like the rest of the page; only what changes is told.
    if (last && now !== last) aloud.textContent = now;
    last = now || last;
  }
  function changed() {
    glance.replaceChildren(...glanced(reply));
    glance.toggleAttribute("data-old", reply.hasAttribute("aria-busy"));
    clearTimeout(timer);
    timer = /** @type {any} */ (setTimeout(say, QUIET_MS));
  }
  const watch = new MutationObserver(changed);
  watch.observe(reply, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-busy"] });
  changed();
  return () => { watch.disconnect(); clearTimeout(timer); };
}
