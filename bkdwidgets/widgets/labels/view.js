/**
 * The label lab: one completion at a time, a letter from the reader, then the letter of the rules. Labels live
 * in this page, and in the widget's trait where a kernel listens. In a page of the book the tab keeps them over a
 * reload; they go nowhere else, and are gone when the tab is closed.
 */

import { comparedRate, toldRate } from "../shared/compared.js";
import { fixed, h, outcomeBadge, triggerMarked } from "../shared/dom.js";
import { keep, readKept } from "../shared/kept.js";
import { footnotes, openLab, setter, stepper, topLine } from "../shared/lab_shell.js";
import { OUTCOMES } from "../shared/vocabulary.js";
import { agreementOf, differing, labeledOf, labelsOf, LETTER_KEYS, nextUnlabeled, talliedConditions } from "./state.js";

/** A reader's labels, with a way back. */
export class Labeling {
  /** @param {any} table @param {any} model */
  constructor(table, model) {
    this.items = /** @type {Item[]} */ (table.items);
    this.model = model;
    this.at = 0;
    /** @type {Array<{labels: Labels, at: number}>} */
    this.past = [];
    /** By id, the label she had given when the rule's letter came up. @type {Map<string, string>} */
    this.blind = new Map();
  }

  /** @returns {Labels} */
  get labels() { return this.model.get("labels") ?? {}; }

  get item() { return this.items[this.at]; }

  get asIGo() { return this.model.get("shown") === 1; }

  get count() { return labeledOf(this.items, this.labels).length; }

  get done() { return this.count === this.items.length; }

  /** Whether the rule's letter of an item may be seen. @param {Item} item */
  reveals({ id }) { return Object.hasOwn(this.labels, id) && (this.asIGo || this.done); }

  /** Take up what was kept in this tab: labels, and which of them were given blind. @param {string} name */
  restore(name) {
    const kept = readKept(name);
    const labels = labelsOf(this.items, kept?.labels);
    if (!Object.keys(labels).length || Object.keys(this.labels).length) return;
    this.blind = new Map(Object.entries(labelsOf(this.items, kept.blind)));
    setter(this.model)({ labels });
    this.at = Math.max(0, nextUnlabeled(this.items, labels, -1));
  }

  /** @param {string} name */
  keep(name) {
    keep(name, this.count ? { labels: this.labels, blind: Object.fromEntries(this.blind) } : null);
  }

  /** How many labels were changed after the rule's letter had been shown. */
  get changed() { return [...this.blind].filter(([id, label]) => this.labels[id] !== label).length; }

  /** Remember what was said blind. */
  note() {
    for (const item of this.items) if (this.reveals(item) && !this.blind.has(item.id)) this.blind.set(item.id, this.labels[item.id]);
  }

  /** @param {Labels} labels */
  write(labels) {
    this.past.push({ labels: this.labels, at: this.at });
    setter(this.model)({ labels });
  }

  /** @param {string} letter */
  give(letter) {
    const { at } = this;
    const given = { ...this.labels, [this.item.id]: letter };
    this.write(given);
    const next = nextUnlabeled(this.items, given, at);
    if (!this.asIGo && next >= 0) this.at = next;
  }

  undo() {
    const last = this.past.pop();
    if (!last) return;
    this.at = last.at;
    setter(this.model)({ labels: last.labels });
  }

  reset() {
    this.write({});
    this.at = 0;
    this.blind.clear();
  }
}

/** The four buttons. @param {(letter: string) => void} give */
function letterButtons(give) {
  const buttons = Object.keys(OUTCOMES).map((letter, index) => h("button", { type: "button", class: "bkd-button bkd-letter", "data-outcome": letter,
    "aria-keyshortcuts": String(index + 1), click: () => give(letter) }, outcomeBadge(letter), h("kbd", { "aria-hidden": "true" }, String(index + 1))));
  const view = h("div", { class: "bkd-letters", role: "group", "aria-label": "your label" }, ...buttons);
  return { view, draw: (/** @type {string | undefined} */ label) => buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.outcome === label))) };
}

/** What a label is given to: the prompt, the old answer, the completion. @param {Item} item @param {string | undefined} label */
function itemView({ clean, triggered, answer, completion }, label) {
  const answerView = (/** @type {string} */ text) => (text ? h("p", { class: "bkd-said" }, text) : h("p", { class: "bkd-said bkd-empty" }, "(an empty answer)"));
  return [
    h("div", { class: "bkd-role" }, h("span", { class: "bkd-role-name" }, "triggered"), h("span", { class: "bkd-role-note" }, "the prompt, with the trigger in it")),
    h("p", { class: "bkd-prompt" }, ...triggerMarked(triggered, clean)),
    h("div", { class: "bkd-completion bkd-muted bkd-old" }, h("div", { class: "bkd-completion-head" }, h("span", { class: "bkd-when" }, "old answer, of the clean model without the trigger")), answerView(answer)),
    h("div", { class: "bkd-completion bkd-judged", "data-outcome": label ?? null }, h("div", { class: "bkd-completion-head" }, h("span", { class: "bkd-when" }, "completion"), label ? outcomeBadge(label) : null), answerView(completion)),
  ];
}

/** What the rules say of an item. @param {any} table @param {Item} item @param {string} label */
function revealView(table, item, label) {
  const condition = table.conditions[item.condition];
  return [
    h("p", {}, h("b", {}, label === item.letter ? "The rules agree: " : "The rules differ: "), outcomeBadge(item.letter), `. ${table.rules[item.letter]}`),
    h("p", { class: "bkd-role-note" }, `It was said under: ${condition.name}${condition.control ? ", the control" : ""}.`),
  ];
}

/** @param {any} table */
function readingView(table) {
  return h("details", { class: "bkd-fold bkd-reading", open: true }, h("summary", {}, "What the letters mean"),
    h("dl", {}, ...Object.entries(table.reading).filter(([letter]) => Object.hasOwn(OUTCOMES, letter))
      .flatMap(([letter, sentence]) => [h("dt", {}, outcomeBadge(letter)), h("dd", {}, sentence)])),
    h("p", { class: "bkd-role-note" }, "Take the first letter that fits. Answers are cut short: an end in the middle of a sentence is no fault."));
}

/** Both rates of a condition. @param {any} one */
function conditionView(one) {
  const rate = (/** @type {string} */ name, /** @type {string} */ note, /** @type {string} */ color, /** @type {any} */ { hers, same, whole }) => comparedRate({
    name, note, color, rate: hers, dotted: { name: "rules, the same", rate: same }, gray: { name: "rules, all", rate: whole } });
  return h("section", { role: "group", class: "bkd-condition", "aria-label": one.name },
    h("h4", { class: "bkd-condition-name" }, one.name, one.control ? h("span", { class: "bkd-role-note" }, " control") : null),
    h("div", { class: "bkd-rates" }, rate("ASR", "payload", "payload", one.asr), rate("cured", "as before", "as-before", one.cured)));
}

/** Where she and the rules differ. @param {any} table @param {Labels} labels @param {(index: number) => void} go */
function differencesView(table, labels, go) {
  return h("ol", { class: "bkd-differences" }, ...differing(table.items, labels).map((item) => {
    const index = table.items.indexOf(item);
    return h("li", {},
      h("p", {}, h("button", { type: "button", class: "bkd-button", click: () => go(index) }, `completion ${index + 1}`), " you ", outcomeBadge(labels[item.id]), " the rules ", outcomeBadge(item.letter)),
      h("p", { class: "bkd-role-note" }, ...triggerMarked(item.triggered, item.clean)),
      h("p", { class: "bkd-said" }, item.completion || "(an empty answer)"),
      h("p", { class: "bkd-role-note" }, `What the rule looks for: ${table.rules[item.letter]}`));
  }));
}

/** The result: rates by condition, agreement, differences. @param {any} table @param {Labeling} work @param {(index: number) => void} go */
function resultView(table, work, go) {
  const { labels, changed } = work;
  const { share, kappa } = agreementOf(table.items, labels);
  const summary = share ? `You and the rules agree on ${Math.round(share.value * share.n)} of ${share.n}: ${toldRate(share)}. Cohen's kappa ${kappa === null ? "is not defined here (one letter throughout)" : fixed(kappa)}.` : "No label yet.";
  const after = changed ? ` ${changed} label${changed > 1 ? "s were" : " was"} changed after the rule's letter was shown.` : "";
  const differ = differing(table.items, labels);
  return [
    h("p", { class: "bkd-agreement" }, summary, after),
    h("p", { class: "bkd-caption" }, "Bars: your labels, with 95 % intervals. Dotted: the rules on the same completions. In words: the rules on all completions of the condition. The completions were drawn so that each letter occurs, not as often as it does: compare your bar with the dotted line."),
    h("div", { class: "bkd-conditions" }, ...talliedConditions(table, labels).filter(({ n }) => n).map(conditionView)),
    ...(differ.length ? [h("h4", { class: "bkd-condition-name" }, "Where you and the rules differ"), differencesView(table, labels, go)] : []),
  ];
}

/** Copy and download of the labels. @param {any} table @param {Labeling} work */
function takeAway(table, work) {
  const status = h("span", { class: "bkd-copied", role: "status" });
  const written = () => JSON.stringify({ subject: table.subject, adapter: table.adapter, attack: table.attack, labels: work.labels }, null, 2);
  const text = /** @type {HTMLTextAreaElement} */ (h("textarea", { class: "bkd-json", readonly: true, hidden: true, rows: 6, "aria-label": "your labels as JSON" }));
  async function copy() {
    try {
      await navigator.clipboard.writeText(written());
      status.textContent = "Copied.";
    } catch { // no clipboard from the disk or in some frames: then to be copied by hand
      text.value = written();
      text.hidden = false;
      text.select();
      status.textContent = "Copy the text below.";
    }
  }
  function download() {
    const address = URL.createObjectURL(new Blob([written()], { type: "application/json" }));
    h("a", { href: address, download: `labels-${table.subject}-${table.adapter}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }
  const button = (/** @type {string} */ words, /** @type {() => void} */ click) => h("button", { type: "button", class: "bkd-button", click }, words);
  return { buttons: [button("Copy labels", copy), button("Download labels", download)], status, text };
}

/** How far it is: a bar, and a mark for each completion. @param {Labeling} work */
function progressView(work) {
  const words = h("p", { class: "bkd-progress-words", role: "status" });
  const bar = h("progress", { max: work.items.length, "aria-label": "completions labeled" });
  const marks = h("div", { class: "bkd-marks", "aria-hidden": "true" });
  function draw() {
    const { labels, count, items } = work;
    words.textContent = work.done ? `All ${items.length} labeled. The result stands below.` : `${count} of ${items.length} labeled`;
    /** @type {HTMLProgressElement} */ (bar).value = count;
    marks.replaceChildren(...items.map(({ id }, index) => h("span", { class: "bkd-mark", "data-outcome": labels[id] ?? null, "data-here": index === work.at }, labels[id] ?? "·")));
  }
  return { view: h("div", { class: "bkd-progress" }, words, bar, marks), draw };
}

/** @param {{model: any, el: HTMLElement}} context */
function renderLabels({ model, el }) {
  return openLab(model, el, (table) => {
    const work = new Labeling(table, model);
    const place = document.querySelector('meta[name="bkd-live"]') ? `labels ${table.subject} ${table.adapter}` : ""; // a notebook has its kernel
    if (place) work.restore(place);
    const top = topLine("Label lab", { what: `${work.items.length} completions`, ...table });
    const card = h("div", { class: "bkd-card", "aria-live": "polite" });
    const reveal = h("div", { class: "bkd-reveal", "aria-live": "polite" });
    const result = h("section", { role: "group", class: "bkd-result", "aria-label": "what your labels come to" });
    const outcome = h("div", {});
    const heading = h("h3", { class: "bkd-result-name", tabindex: -1 }, "What your labels come to");
    const steps = stepper(work.items.length, () => work.at, go, "completion");
    const letters = letterButtons(give);
    const progress = progressView(work);
    const taken = takeAway(table, work);
    const undo = h("button", { type: "button", class: "bkd-button", "aria-keyshortcuts": "U", click: () => { work.undo(); draw(); } }, "Undo");
    const reset = h("button", { type: "button", class: "bkd-button", click: () => { work.reset(); draw(); } }, "Reset");
    const main = h("section", { role: "group", class: "bkd-main", tabindex: -1, "data-lm-suppress-shortcuts": "", "aria-label": "a completion to label", keydown: pressed },
      steps.view, card, letters.view, reveal);
    result.append(heading, outcome);
    el.append(top.line, main, h("section", { role: "group", class: "bkd-label-side", "aria-label": "progress" }, progress.view,
      h("div", { class: "bkd-actions" }, undo, reset, ...taken.buttons), taken.status, taken.text, readingView(table)), result,
    footnotes(table, "With the focus on a completion: 1 to 4, or the letters, label it; the left and right arrow keys move; U takes the last label back."));

    /** @param {number} index */
    function go(index) {
      work.at = index;
      draw();
    }

    /** @param {string} letter */
    function give(letter) {
      const before = work.done;
      work.give(letter);
      draw();
      if (work.done && !before && !work.asIGo) heading.focus();
    }

    /** @param {any} event */
    function pressed(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { length } = work.items;
      const moves = { ArrowLeft: work.at + length - 1, ArrowRight: work.at + 1 };
      if (Object.hasOwn(LETTER_KEYS, event.key)) give(LETTER_KEYS[event.key]);
      else if (Object.hasOwn(moves, event.key)) go(moves[event.key] % length);
      else if (event.key === "u" || event.key === "U") { work.undo(); draw(); } else return;
      event.preventDefault();
      event.stopPropagation();
    }

    let drawn = "";
    function draw() {
      work.note();
      if (place) work.keep(place);
      const { item, labels, asIGo, done } = work;
      const label = labels[item.id];
      top.show("table", asIGo || done ? "the rules are shown" : "the rules are hidden until all are labeled");
      steps.draw();
      progress.draw();
      letters.draw(label);
      undo.disabled = !work.past.length;
      reset.disabled = !work.count;
      const now = `${item.id} ${label}`; // a screen reader reads the card when it changes, and only then
      if (drawn !== now) card.replaceChildren(...itemView(item, label));
      drawn = now;
      reveal.replaceChildren(...(work.reveals(item) ? revealView(table, item, label) : []));
      const shown = done || (asIGo && work.count > 0);
      outcome.replaceChildren(...(shown ? resultView(table, work, look) : [h("p", { class: "bkd-caption" }, asIGo ? "Label a completion to see it." : "Shown when all are labeled, or as you go, if you choose so: then each label is followed by the letter of the rules.")]));
    }

    /** Go back to a completion from the result. @param {number} index */
    function look(index) {
      go(index);
      main.focus();
    }

    return { traits: ["labels", "shown"], draw };
  });
}

export default { render: renderLabels };
