/** What all labs share: how they start, their top line, their states, where numbers come from. */

import { retold } from "./announce.js";
import { lastHand, nameControls } from "./controls.js";
import { fixed, h } from "./dom.js";
import { Desk, KernelEngine, PYTHON_BUSY, unpacked } from "./engines.js";
import { ModelLoader, livePanel, reason } from "./model_loader.js";
import { BrowserEngine } from "./page_engine.js";

/**
 * Start a lab: unpack its table, open its engines, draw, and draw again on every change.
 *
 * A lab whose choices the model itself can answer gives `live`: its answer to a choice, from a subject that
 * runs in this page. One whose answers stand in one element gives it as `reply`: what changes there is told aloud,
 * and stays in sight of the controls on a phone.
 * @typedef {{desk: Desk, kernel: KernelEngine, loader: ModelLoader, browser: BrowserEngine, panel: HTMLElement, byKey: () => boolean}} Bench
 * @typedef {{traits: string[], draw: () => void, tables?: any[], reply?: HTMLElement, live?: (live: any, choice: any, signal: AbortSignal) => Promise<any>}} Lab
 * @param {any} model @param {HTMLElement} el @param {(table: any, bench: Bench) => Lab} make
 */
export async function openLab(model, el, make) {
  el.classList.add("bkd-view");
  const waiting = h("p", { class: "bkd-note", role: "status" }, "Reading the table …");
  el.replaceChildren(waiting);
  let table;
  try {
    table = await unpacked(model.get("table_gz"));
  } catch (error) {
    waiting.textContent = `This lab cannot start: ${reason(error)}.`;
    return () => {};
  }
  waiting.remove();
  /** @type {Lab} */
  let lab = { traits: [], draw: () => {} };
  // One gesture may change several traits; draw once, when all of them have their new values.
  let due = false;
  const draw = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => { due = false; lab.draw(); });
  };
  const kernel = new KernelEngine(model, () => { panel.draw(); draw(); });
  const loader = new ModelLoader({ subject: table.subject, adapter: table.adapter, changed: (state) => { panel.draw(); if (state !== "loading") draw(); } });
  const browser = new BrowserEngine(loader, (live, choice, signal) => lab.live(live, choice, signal));
  const panel = livePanel(loader, () => kernel.ready);
  const desk = new Desk([kernel, browser]);
  const hand = lastHand();
  lab = make(table, { desk, kernel, loader, browser, panel: panel.view, byKey: () => hand.key });
  desk.engines.unshift(...(lab.tables ?? []));
  for (const trait of lab.traits) model.on(`change:${trait}`, draw);
  lab.draw();
  if (lab.live) loader.look().then(() => panel.watch());
  const parting = [nameControls(el, [...el.querySelectorAll(":scope > .bkd-top, :scope > .bkd-live")]), ...(lab.reply ? [retold(el, lab.reply)] : [])];
  return () => {
    for (const trait of lab.traits) model.off(`change:${trait}`, draw);
    kernel.close();
    browser.stop();
    panel.close();
    loader.close();
    for (const part of parting) part();
    hand.close();
  };
}

/** Set traits of a widget, as a control would. @param {any} model */
export const setter = (model) => (/** @type {Record<string, any>} */ traits) => {
  for (const [name, value] of Object.entries(traits)) model.set(name, value);
  model.save_changes();
};

const PATIENCE_MS = 500;

/**
 * Answer choices: at once if somebody knows, later if somebody can work it out, else say what is missing.
 * @param {{desk: Desk, top: {show: (state: string, text: string) => void}, reply: HTMLElement,
 *          busy: (words: string) => void, show: (choice: any, answer: Answer) => void,
 *          missing: (choice: any, error: Error | null) => void}} how
 * @returns {(choice: any) => void}
 */
export function answering({ desk, top, reply, busy, show, missing }) {
  let drawn = "";
  return (choice) => {
    const key = JSON.stringify(choice);
    const done = (/** @type {() => void} */ finish) => { if (drawn === key) { reply.removeAttribute("aria-busy"); finish(); } };
    const worker = desk.worker();
    const answer = desk.find(choice);
    if (drawn !== key) desk.stop();
    const again = drawn === key && reply.hasAttribute("aria-busy");
    drawn = key;
    if (answer) { done(() => show(choice, answer)); return; }
    if (!worker) { done(() => missing(choice, null)); return; }
    if (again) return; // somebody works on this very choice
    const python = worker.name === "kernel";
    top.show("busy", python ? "the kernel is working" : "the model is answering");
    reply.setAttribute("aria-busy", "true");
    const wait = () => { if (drawn === key && reply.hasAttribute("aria-busy")) busy(python ? "Python is computing this answer." : "The model in this page is answering."); };
    if (python) wait();
    else setTimeout(wait, PATIENCE_MS); // a model in the page is often done before an eye could follow
    const onWait = (/** @type {boolean} */ waits) => {
      if (drawn !== key || !reply.hasAttribute("aria-busy")) return;
      top.show("busy", waits ? "waiting for the kernel" : "the kernel is working");
      busy(waits ? `${PYTHON_BUSY}.` : "Python is computing this answer.");
    };
    worker.ask(choice, onWait).then(
      (/** @type {Answer} */ made) => done(() => show(choice, made)),
      (/** @type {Error} */ error) => done(() => missing(choice, error)));
  };
}

/** The top line: what this is, and who answers. @param {string} name @param {any} table */
export function topLine(name, table) {
  const size = table.what ?? `${table.shape[0]} layers × ${table.shape[1]} heads`;
  const engine = h("span", { class: "bkd-engine", role: "status" });
  const line = h("header", { class: "bkd-top" },
    h("strong", { class: "bkd-name" }, name),
    h("span", { class: "bkd-what" }, `${table.subject} + ${table.adapter || "no adapter"}, ${size}`),
    engine);
  /** @param {string} state @param {string} text */
  const show = (state, text) => {
    engine.dataset.engine = state;
    engine.textContent = text;
  };
  return { line, show };
}

/** Who answered, in words. @param {Answer | null} answer @param {Bench} bench */
export function engineWords(answer, { kernel, loader }) {
  if (answer?.engine === "kernel") return ["kernel", `live, kernel, ${fixed(answer.seconds ?? 0, 1)} s`];
  if (answer?.engine === "browser") return ["browser", `live, in this page${answer.perToken ? `, ${fixed(answer.perToken, answer.perToken < 10 ? 1 : 0)} ms per token` : ""}`];
  const also = kernel.ready ? "the kernel is ready" : loader.live ? "the model is ready" : "";
  if (answer) return ["table", also ? `from the table; ${also}` : "from the table"];
  return ["none", also || "not in the table"];
}

/**
 * The state while somebody works: seconds pass, nothing else moves.
 * @param {string} text
 */
export function busyView(text) {
  const clock = h("span", { class: "bkd-clock" }, "0 s");
  const started = Date.now();
  const timer = setInterval(() => {
    if (!clock.isConnected) clearInterval(timer);
    else clock.textContent = `${Math.round((Date.now() - started) / 1000)} s`;
  }, 1000);
  return h("div", { class: "bkd-note bkd-busy", role: "status" }, h("span", {}, text, " "), clock, h("progress", { "aria-label": "working" }));
}

/**
 * The state when nobody can answer: say so, and offer what can be answered.
 * @param {string} text @param {Array<{label: string, take: () => void}>} offers
 */
export function missingView(text, offers) {
  return h("div", { class: "bkd-note bkd-missing" }, h("p", {}, text),
    h("div", { class: "bkd-offers" }, ...offers.map(({ label, take }) => h("button", { type: "button", class: "bkd-button", click: take }, label))));
}

/**
 * Why there is no answer, and what can be had instead.
 * @param {string} what @param {Bench} bench @param {Error | null} error @param {Array<{label: string, take: () => void}>} nearest
 */
export function missingAnswer(what, { kernel, loader, panel }, error, nearest) {
  if (error) return h("div", {}, errorView(error.message), missingView("Nearest that is in the table:", nearest));
  const offered = ["offered", "failed"].includes(loader.state);
  const why = kernel.ready || loader.live ? "" : offered ? " Load the model and it works it out." : loader.state === "loading" ? " It is answered as soon as the model is loaded." : " No kernel is running and no model is loaded to work it out.";
  const load = offered ? [{ label: loader.offer, take: () => { panel.focus(); loader.load(); } }] : [];
  return missingView(`${what} not in the table.${why}${nearest.length ? " Nearest that is:" : ""}`, [...nearest, ...load]);
}

/** @param {string} text */
export function errorView(text) {
  return h("div", { class: "bkd-note bkd-error", role: "alert" }, `No answer came back: ${text}`);
}

/** ‹ 3 of 24 › @param {number} count @param {() => number} get @param {(index: number) => void} set @param {string} [what] */
export function stepper(count, get, set, what = "prompt") {
  const where = h("span", { class: "bkd-where", "aria-live": "polite" });
  const step = (/** @type {number} */ by) => () => set((get() + by + count) % count);
  const view = h("div", { class: "bkd-stepper", role: "group", "aria-label": `${what} shown` },
    h("button", { type: "button", class: "bkd-button", "aria-label": `previous ${what}`, click: step(-1) }, "‹"), where,
    h("button", { type: "button", class: "bkd-button", "aria-label": `next ${what}`, click: step(1) }, "›"));
  return { view, draw: () => { where.textContent = `${what} ${get() + 1} of ${count}`; } };
}

/** Where the numbers come from, folded away. @param {any} table @param {string} keys how to use it without a mouse */
export function footnotes(table, keys) {
  const rows = Object.entries(table.provenance ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
  return h("footer", { class: "bkd-foot" },
    h("details", {},
      h("summary", {}, "Where these numbers come from, and keys"),
      h("dl", { class: "bkd-provenance" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
      h("p", {}, keys)));
}
