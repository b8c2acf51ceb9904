/**
 * The attention view: where one head looks, clean beside triggered. CircuitsVis draws the pattern; the tokens
 * below it are text, the trigger's among them marked, and can be walked with the arrow keys.
 *
 * @typedef {{tokens: string[], pattern: number[][]}} Looks
 */

import { fixed, h, headName, signed, triggerSpans } from "../shared/dom.js";
import { answering, busyView, engineWords, footnotes, missingAnswer, openLab, setter, topLine } from "../shared/lab_shell.js";
import { INK } from "../shared/vocabulary.js";

/** Patterns that came with the page. */
export class AttentionTable {
  /** @param {any} table */
  constructor(table) {
    this.name = "table";
    this.ready = true;
    this.table = table;
  }

  /** @param {{head: [number, number], prompt: number}} choice */
  find({ head, prompt }) {
    const view = this.table.views.find((/** @type {any} */ one, /** @type {number} */ index) => (one.prompt ?? index) === prompt);
    const at = this.table.heads.findIndex((/** @type {[number, number]} */ other) => String(other) === String(head));
    if (!view || at < 0) return null;
    const side = (/** @type {any} */ { tokens, patterns }) => ({ tokens, pattern: patterns[at] });
    return { engine: "table", clean: side(view.clean), triggered: side(view.triggered) };
  }
}

/** Which tokens the trigger's text covers. @param {string[]} tokens @param {{clean: string, triggered: string}} row @returns {Set<number>} */
export function triggerTokens(tokens, row) {
  const start = tokens.join("").indexOf(row.triggered);
  const spans = start < 0 ? [] : triggerSpans(row.triggered, row.clean);
  const found = new Set();
  let at = 0;
  tokens.forEach((token, index) => {
    if (spans.some(([from, to]) => at < start + to && at + token.length > start + from)) found.add(index);
    at += token.length;
  });
  return found;
}

const shownToken = (/** @type {string} */ token) => token.replaceAll("\n", "↵") || "·";

/**
 * CircuitsVis, from beside the book's pages or, in a notebook, from Python.
 * @param {any} model @returns {Promise<any>}
 */
function circuitsVis(model) {
  const shared = /** @type {any} */ (window);
  const load = (/** @type {string} */ url) => new Promise((resolve, reject) => {
    document.head.append(h("script", { src: url, load: resolve, error: () => reject(new Error("its code could not be loaded")) }));
  });
  const book = [...document.scripts].map(({ src }) => src).find((src) => /\/_static\/page\.js(\?|$)/.test(src));
  shared.bkdCircuitsVis ??= (shared.CircuitsVis ? Promise.resolve() : book ? load(new URL("vendor/circuitsvis.js", book).href) : new Promise((resolve, reject) => {
    model.on("msg:custom", (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
      if (message?.bkd === "drawing" && buffers?.length) resolve(load(URL.createObjectURL(new Blob([/** @type {any} */ (buffers[0])], { type: "text/javascript" }))));
    });
    setTimeout(() => reject(new Error("neither a book nor a kernel brought it")), 15000);
    try { model.send({ bkd: "draw" }); } catch { reject(new Error("no kernel is running to bring it")); }
  })).then(() => shared.CircuitsVis);
  return shared.bkdCircuitsVis;
}

/** One side: the pattern, the tokens, and what the chosen token looks at. @param {"clean" | "triggered"} role */
function looksView(role) {
  const note = h("span", { class: "bkd-role-note" });
  const drawing = h("div", { class: "bkd-drawing", role: "img" });
  const strip = h("div", { class: "bkd-tokens", role: "toolbar", "aria-label": `tokens of the ${role} prompt; the chosen one looks at the others` });
  const words = h("p", { class: "bkd-looks-words", "aria-live": "polite" });
  const view = h("section", { role: "group", class: "bkd-looks bkd-circuitsvis", "data-role": role, "aria-label": `${role} prompt` },
    h("div", { class: "bkd-role" }, h("span", { class: "bkd-role-name" }, role), note), drawing, strip, words);
  /** @type {{looks: Looks, trigger: Set<number>, buttons: HTMLElement[]} | null} */
  let shown = null;

  /** @param {number} to */
  function choose(to) {
    if (!shown) return;
    const { looks, trigger, buttons } = shown;
    const row = looks.pattern[to];
    buttons.forEach((button, from) => {
      const weight = from <= to ? row[from] : 0;
      button.style.setProperty("--bkd-weight", `${Math.round(60 * Math.min(1, weight))}%`);
      button.setAttribute("aria-pressed", String(from === to));
      button.setAttribute("tabindex", from === to ? "0" : "-1");
      button.title = from <= to ? `“${shownToken(looks.tokens[from])}” ${fixed(weight)}` : "later than the chosen token";
    });
    const strongest = row.map((weight, from) => ({ weight, from })).slice(0, to + 1).sort((a, b) => b.weight - a.weight).slice(0, 3);
    const onTrigger = [...trigger].reduce((sum, from) => sum + (from <= to ? row[from] : 0), 0);
    words.replaceChildren(`Token ${to + 1} of ${looks.tokens.length}, “${shownToken(looks.tokens[to])}”, looks most at `,
      ...strongest.flatMap(({ weight, from }, index) => [index ? ", " : "", h("b", {}, `“${shownToken(looks.tokens[from])}”`), ` ${fixed(weight)}`]),
      trigger.size ? `. On the trigger's tokens together: ${fixed(onTrigger)}.` : ".");
  }
  strip.addEventListener("keydown", (/** @type {any} */ event) => {
    const at = shown?.buttons.indexOf(/** @type {any} */ (document.activeElement)) ?? -1;
    const last = (shown?.buttons.length ?? 0) - 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(Math.min(last, Math.max(0, to)));
    shown?.buttons[Math.min(last, Math.max(0, to))].focus();
  });

  /** @param {Looks} looks @param {any} row @param {string} head @param {Promise<any>} library */
  function draw(looks, row, head, library) {
    const trigger = role === "triggered" ? triggerTokens(looks.tokens, row) : new Set();
    const buttons = looks.tokens.map((token, index) => {
      const name = `${shownToken(token)}${trigger.has(index) ? ", part of the trigger" : ""}`;
      return h("button", { type: "button", class: "bkd-token", "data-trigger": trigger.has(index) || null, "aria-label": name, click: () => choose(index) }, shownToken(token));
    });
    shown = { looks, trigger, buttons };
    strip.replaceChildren(...buttons);
    note.textContent = `${looks.tokens.length} tokens${trigger.size ? `, ${trigger.size} of them the trigger's` : ""}`;
    drawing.setAttribute("aria-label", `attention pattern of ${head} on the ${role} prompt: rows look at columns; the tokens below say it in words`);
    choose(looks.tokens.length - 1);
    library.then((CircuitsVis) => {
      if (shown?.looks !== looks) return;
      const place = h("div", { id: `bkd-${Math.random().toString(36).slice(2)}`, "aria-hidden": "true" });
      drawing.replaceChildren(place);
      // CircuitsVis mixes the color with white; in dark pages the style sheet turns the drawing over.
      CircuitsVis.render(place.id, CircuitsVis.AttentionPattern, { tokens: looks.tokens.map(shownToken), attention: looks.pattern, minValue: 0, maxValue: 1, positiveColor: INK[role], upperTriColor: "rgb(242,242,242)", zoomed: true });
    }, (/** @type {Error} */ error) => { drawing.replaceChildren(h("p", { class: "bkd-note" }, `The drawing is missing (${error.message}); the tokens below say the same.`)); });
  }
  return { view, draw };
}

/** @param {{model: any, el: HTMLElement}} context */
function renderAttention({ model, el }) {
  return openLab(model, el, (table, bench) => {
    const rows = new AttentionTable(table);
    const top = topLine("Attention view", table);
    const title = h("p", { class: "bkd-sentence", "aria-live": "polite" });
    const sides = { clean: looksView("clean"), triggered: looksView("triggered") };
    const pair = h("div", { class: "bkd-looks-pair" }, sides.clean.view, sides.triggered.view);
    const note = h("div", { class: "bkd-answers" });
    const reply = h("div", { class: "bkd-reply" }, note, pair);
    const set = setter(model);
    /** @type {[number, number][]} */
    const heads = model.get("heads");
    const total = table.shape[0] * table.shape[1];
    el.append(top.line, bench.panel, h("section", { role: "group", class: "bkd-main", "aria-label": "where the head looks" }, title, reply),
      footnotes(table, "The menus choose head and prompt. Among the tokens, the arrow keys, Home and End choose the one that looks."));
    const respond = answering({ desk: bench.desk, top, reply, busy, show, missing });
    const library = circuitsVis(model);
    library.catch(() => {}); // said where a drawing would stand

    function draw() {
      const at = Math.min(heads.length - 1, Math.max(0, model.get("head_index")));
      const [acie, rank] = [model.get("acie")[at], model.get("ranks")[at]];
      const words = [typeof acie === "number" ? `ACIE ${signed(acie)}` : "ACIE not in the table", typeof rank === "number" ? `rank ${rank} of ${total}` : ""].filter(Boolean).join(", ");
      title.replaceChildren(h("b", {}, headName(heads[at])), `, ${words}. Rows look at columns; the last row is where the answer begins.`);
      respond({ head: heads[at], prompt: Math.min(model.get("prompt"), table.prompts.length - 1) });
    }

    /** @param {any} choice @param {any} answer */
    function show(choice, answer) {
      const [state, words] = engineWords(answer, bench);
      top.show(state, words);
      note.replaceChildren();
      pair.hidden = false;
      for (const role of /** @type {const} */ (["clean", "triggered"])) sides[role].draw(answer[role], table.prompts[choice.prompt], headName(choice.head), library);
    }

    /** @param {string} words */
    function busy(words) {
      note.replaceChildren(busyView(words));
      pair.hidden = true;
    }

    /** @param {any} choice @param {Error | null} error */
    function missing(choice, error) {
      const [state, words] = engineWords(null, bench);
      top.show(state, words);
      pair.hidden = true;
      const offers = heads.map((head, index) => ({ head, index })).filter(({ head }) => rows.find({ head, prompt: choice.prompt })).slice(0, 3)
        .map(({ head, index }) => ({ label: headName(head), take: () => set({ head_index: index }) }));
      note.replaceChildren(missingAnswer("This head and prompt are", bench, error, offers));
    }

    /** @param {any} live @param {any} choice */
    async function answered(live, { head, prompt }) {
      const looks = async (/** @type {"clean" | "triggered"} */ role) => {
        const { tokens, patterns } = await live.attention({ prompt: table.prompts[prompt][role], adapter: table.adapter ?? null, edits: null, heads: [head] });
        return { tokens, pattern: patterns[0] };
      };
      return { clean: await looks("clean"), triggered: await looks("triggered") };
    }

    return { traits: ["prompt", "head_index"], draw, tables: [rows], live: answered };
  });
}

export default { render: renderAttention };
