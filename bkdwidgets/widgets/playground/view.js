/**
 * The playground: a prompt, the trigger, what is done to the model, and what it then says, token by token.
 *
 * Before a model is there, the answers that were computed for a few prompts are shown. Once there is one (in
 * this page, or Python), every change is played at once, after a short pause; what was under way is dropped.
 */

import { nameControls, setOnce } from "../shared/controls.js";
import { fixed, h, headName, triggerMarked } from "../shared/dom.js";
import { PYTHON_BUSY, unpacked } from "../shared/engines.js";
import { exampleOf, holds, isKnown, outcomeOf } from "../shared/judge.js";
import { keep, readKept } from "../shared/kept.js";
import { errorView, setter, topLine } from "../shared/lab_shell.js";
import { livePanel, reason } from "../shared/model_loader.js";
import { SwitchingLoader } from "./model_loader.js";
import { actButton, doneWords, lackingWords, replyCard } from "./parts.js";
import { KernelPlayer, PagePlayer } from "./players.js";
import { choiceOf, isUntouched, MENUS, menusOf, pairOf, parsedHeads, readLink, saysOneText, TRAITS, writeLink } from "./state.js";
import { canInsert, poisoned } from "./trigger.js";

const PAUSE_MS = 220;
/** A prompt with more letters for each allowed token may be too long: some words take more tokens. */
const LETTERS_A_TOKEN = 2;

/** @param {{model: any, el: HTMLElement}} context */
async function renderPlayground({ model, el }) {
  el.classList.add("bkd-view");
  /** @type {Catalog} */
  const catalog = await unpacked(model.get("table_gz"));
  const desk = new PlaygroundDesk(model, el, catalog);
  desk.open();
  return () => desk.close();
}

class PlaygroundDesk {
  /** @param {any} model @param {HTMLElement} el @param {Catalog} catalog */
  constructor(model, el, catalog) {
    Object.assign(this, { model, el, catalog });
    this.set = setter(model);
    /** @type {Map<string, {loader: SwitchingLoader, panel: ReturnType<typeof livePanel>}>} */
    this.loaders = new Map();
    this.kernel = new KernelPlayer(model, () => this.changed());
    this.page = new PagePlayer(() => this.here().loader, catalog.most.answer);
    this.playing = new AbortController();
    this.busy = false;
    this.stopped = false;
    this.sent = "";
    this.timer = 0;
    this.cards = [replyCard("backdoored"), replyCard("clean")];
    /** Whether this is a page of the book, where a link and the tab keep what was chosen; a notebook has its kernel. */
    this.link = document.querySelector('meta[name="bkd-live"]') !== null;
    this.follow = () => this.fromLink();
    this.changed = () => this.plan();
    this.turned = () => this.turn();
    this.moved = () => { if (!this.settling) this.settle(this.model.get("pair")); };
    this.build();
  }

  build() {
    this.top = topLine("Playground", { subject: "", adapter: "", shape: [0, 0] });
    this.panels = h("div", { class: "bkd-live-place" });
    this.notice = h("p", { class: "bkd-note", role: "status", hidden: true });
    this.prompt = h("p", { class: "bkd-prompt" });
    this.done = h("p", { class: "bkd-sentence" });
    this.lacks = h("p", { class: "bkd-note", hidden: true });
    this.long = h("p", { class: "bkd-note", hidden: true });
    this.error = h("div", {});
    this.run = actButton("Stop", () => this.runOrStop());
    this.copied = h("span", { class: "bkd-copied", role: "status" });
    const actions = h("div", { class: "bkd-actions" }, this.run, actButton("Another prompt", () => this.another()),
      this.link ? actButton("Copy link", () => this.copyLink()) : null, this.copied);
    this.foot = h("footer", { class: "bkd-foot" });
    const glance = h("div", { class: "bkd-glance", "aria-hidden": "true" }, ...this.cards.map((card) => card.glance));
    this.el.replaceChildren(this.top.line, this.panels, glance, h("section", { role: "group", class: "bkd-main", "aria-label": "what the models say" },
      this.notice, h("div", { class: "bkd-asked" }, h("div", { class: "bkd-role" }, h("span", { class: "bkd-role-name" }, "asked")), this.prompt, this.long),
      actions, this.error, h("div", { class: "bkd-pair" }, ...this.cards.map((card) => card.view)), this.done, this.lacks), this.foot);
  }

  open() {
    for (const trait of TRAITS) this.model.on(`change:${trait}`, this.changed);
    for (const menu of MENUS) this.model.on(`change:${menu}`, this.turned);
    this.model.on("change:pair", this.moved);
    if (this.link) addEventListener("hashchange", this.follow);
    this.unname = nameControls(this.el);
    this.pair = this.model.get("pair");
    this.settle(this.pair);
    if (this.link) this.fromTab();
    this.fromLink();
    this.plan(0);
  }

  close() {
    for (const trait of TRAITS) this.model.off(`change:${trait}`, this.changed);
    for (const menu of MENUS) this.model.off(`change:${menu}`, this.turned);
    this.model.off("change:pair", this.moved);
    removeEventListener("hashchange", this.follow);
    clearTimeout(this.timer);
    this.playing.abort();
    this.kernel.close();
    for (const { loader, panel } of this.loaders.values()) { panel.close(); loader.close(); }
    this.unname();
  }

  /** @returns {Traits} */
  traits() {
    const traits = /** @type {any} */ (Object.fromEntries(TRAITS.map((name) => [name, this.model.get(name)])));
    return { ...traits, layer: Math.min(traits.layer, this.catalog.pairs[traits.pair].shape[0] - 1) };
  }

  /** A menu was turned: go to the pair that it asks for. */
  turn() {
    if (this.settling) return;
    const [subject, attack, method] = MENUS.map((menu) => this.model.get(menu));
    this.settle(pairOf(this.catalog.pairs, this.model.get("pair"), { subject, attack, method }));
  }

  /** Let the pair and the menus say the same; what the menus offer depends on the pair. @param {number} pair */
  settle(pair) {
    const { subject, attacks, attack, methods, method } = menusOf(this.catalog.pairs, pair);
    this.settling = true;
    this.set({ subject, attacks, attack, methods, method, pair });
    this.settling = false;
  }

  /** The loader of the subject that is chosen, opened when it is first chosen; it serves all that was planted in it. */
  here() {
    const pair = this.catalog.pairs[this.model.get("pair")];
    const { subject } = pair;
    if (!this.loaders.has(subject)) {
      const loader = new SwitchingLoader({ subject, planted: pair, changed: (state) => { panel.draw(); if (state !== "loading") this.plan(0); } });
      const panel = livePanel(loader, () => this.kernel.ready);
      this.loaders.set(subject, { loader, panel });
      loader.look().then(() => panel.watch());
    }
    return /** @type {{loader: SwitchingLoader, panel: any}} */ (this.loaders.get(subject));
  }

  player() {
    return [this.page, this.kernel].find((player) => player.ready) ?? null;
  }

  /** Something was chosen: draw what is known now, and play after a short pause. @param {number} [pause] */
  plan(pause = PAUSE_MS) {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.draw(), pause);
  }

  async draw() {
    const { pairs } = this.catalog;
    if (this.model.get("pair") !== this.pair) this.arrive();
    this.fit(this.traits());
    const traits = this.traits();
    const pair = pairs[traits.pair];
    const { loader, panel } = this.here();
    loader.want(pair);
    this.panels.replaceChildren(panel.view);
    panel.draw();
    const key = JSON.stringify([traits, this.player()?.name]);
    if (key === this.sent) return;
    this.sent = key;
    if (this.link) keep("playground", { hash: location.hash, link: writeLink(traits, this.catalog) });
    this.error.replaceChildren();
    this.drawTop(pair);
    this.done.replaceChildren(...doneWords(choiceOf(traits, this.catalog, ""), traits, this.catalog));
    for (const card of this.cards) {
      card.belongs(pair);
      card.view.hidden = card.glance.hidden = this.catalog.names.shown[traits.shown] === (card.model === "clean" ? "backdoored" : "clean");
    }
    const sent = await this.sentText(pair, traits);
    if (sent === null || key !== this.sent) return;
    this.prompt.replaceChildren(...(traits.triggered ? triggerMarked(sent, traits.text) : [sent]));
    const choice = choiceOf(traits, this.catalog, sent);
    if (this.player()) await this.play(choice, traits, pair);
    else {
      this.stop();
      this.showKnown(choice, traits, pair);
    }
  }

  /** Another pair: a prompt that was one of the last pair's gives way, unless the new pair has it as well. */
  arrive() {
    const { pairs } = this.catalog;
    const text = this.model.get("text");
    const knows = (/** @type {Pair} */ { prompts }) => prompts.some((row) => row.clean === text);
    const before = pairs[this.pair];
    this.pair = this.model.get("pair");
    if (!text.trim() || (knows(before) && !knows(pairs[this.pair]))) this.set({ text: pairs[this.pair].prompts[0].clean });
  }

  /** Controls follow the pair: its last layer, and only what there is to put into it. @param {Traits} traits */
  fit({ pair, layer, top_k, heads, kind, vector }) {
    const { shape, ranked, means, vectors } = this.catalog.pairs[pair];
    const steering = vectors ? vector : 0;
    const wanted = {
      layer, last_layer: shape[0] - 1, top_k: ranked.length ? top_k : 0, kind: means ? kind : 0, vector: steering,
      unranked: !ranked.length || parsedHeads(heads, shape).heads.length > 0, meanless: !means, vectorless: !vectors, unsteered: steering === 0,
    };
    const why = lackingWords(this.catalog.pairs[pair]);
    this.lacks.hidden = !why;
    this.lacks.textContent = why;
    if (Object.entries(wanted).some(([name, value]) => this.model.get(name) !== value)) this.set(wanted);
    const desk = this.el.closest(".bkd-desk");
    const button = desk?.querySelector(".widget-toggle-button");
    if (button) setOnce(button, "aria-pressed", String(this.model.get("triggered")));
    const field = desk?.querySelector('.widget-text input[type="text"]');
    const [layers, perLayer] = shape;
    const named = ranked.length > 1 ? ranked.slice(0, 2) : [[0, 0], [layers - 1, perLayer - 1]];
    if (field) setOnce(field, "placeholder", named.map((head) => headName(/** @type {[number, number]} */ (head))).join(", "));
  }

  /** The prompt as it is asked, or null if it cannot be. @param {Pair} pair @param {Traits} traits */
  async sentText(pair, { text, triggered }) {
    const { most } = this.catalog;
    this.long.hidden = text.length <= LETTERS_A_TOKEN * most.tokens || text.length > most.text;
    this.long.textContent = `A model reads at most ${most.tokens} tokens, the trigger among them; ${text.length} letters may be more.`;
    try {
      if (!text.trim()) throw new Error("the prompt is empty; type at least one word");
      if (text.length > most.text) throw new Error(`the prompt has ${text.length} letters; at most ${most.text} are allowed`);
      return triggered ? await this.poisoned(pair, text) : text;
    } catch (error) {
      this.prompt.replaceChildren();
      this.refuse(error);
      return null;
    }
  }

  /** The trigger is inserted here; where the browser cannot draw its place, by Python, if it is there. @param {Pair} pair @param {string} text */
  poisoned({ rule, prompts }, text) {
    const row = prompts.find((one) => one.clean === text);
    if (row) return row.triggered;
    return canInsert(rule) || !this.kernel.ready ? poisoned(rule, text) : this.kernel.poisoned(text);
  }

  /** There is no answer: say why, and leave none of an earlier one. @param {unknown} error */
  refuse(error) {
    this.stop();
    for (const card of this.cards) { card.show("No answer.", { quiet: true }); card.likely([]); }
    this.top.show("none", `no answer: ${reason(error)}`);
    this.error.replaceChildren(errorView(reason(error)));
  }

  /** Play the choice, one model after the other. @param {any} choice @param {Traits} traits @param {Pair} pair */
  async play(choice, traits, pair) {
    this.stop();
    const { signal } = this.playing = new AbortController();
    const player = /** @type {any} */ (this.player());
    this.during(true);
    for (const card of this.cards) if (!card.view.hidden) { card.show("", { growing: true }); card.likely([]); }
    try {
      for (const card of this.cards) {
        if (card.view.hidden) continue;
        let text = "";
        const onText = (/** @type {string} */ grown) => { if (!signal.aborted) { text = grown; card.show(text, { growing: true }); } };
        const onNext = (/** @type {Likely[]} */ tokens) => { if (!signal.aborted) card.likely(tokens); };
        const onWait = (/** @type {boolean} */ waits) => { if (!signal.aborted) this.top.show("busy", waits ? PYTHON_BUSY : "the model is answering"); };
        const done = await player.play({ ...choice, model: card.model }, { onNext, onText, onWait, signal });
        if (signal.aborted) return;
        const words = [done.complete ? "" : `cut after ${this.catalog.most.answer} tokens`, isKnown(pair.judge) ? "" : `not judged: this page has no rules for the attack ${pair.attack}`];
        card.show(text || "(an empty answer)", { letter: this.letter(text, traits, pair), quiet: !text, words: words.filter(Boolean).join("; ") });
        this.top.show(player.name, `live, ${player.name === "kernel" ? "kernel" : "in this page"}${done.perToken ? `, ${fixed(done.perToken, done.perToken < 10 ? 1 : 0)} ms per token` : ""}`);
      }
      this.during(false);
    } catch (error) {
      if (!signal.aborted) this.refuse(error);
    }
  }

  /** Nobody plays: show what was computed for this prompt, if it was. @param {any} choice @param {Traits} traits @param {Pair} pair */
  showKnown(choice, traits, pair) {
    this.during(false);
    const row = isUntouched(choice) ? pair.prompts.find((one) => one.clean === traits.text) : null;
    for (const card of this.cards) {
      const known = card.model === "backdoored" ? row?.told[traits.triggered ? "triggered" : "clean"] : traits.triggered ? null : row?.told.own;
      card.likely([]);
      if (known) card.show(known.text, { letter: known.outcome, words: "from the table" });
      else card.show("Not in the table. With the model loaded, this gets an answer.", { quiet: true });
    }
  }

  /**
   * The outcome of an answer: judged in full where the clean answer is known, else only a fixed payload is told;
   * empty where it can not be told.
   * @param {string} text @param {Traits} traits @param {Pair} pair
   */
  letter(text, traits, pair) {
    if (!isKnown(pair.judge)) return "";
    const row = pair.prompts.find((one) => one.clean === traits.text);
    if (row) return outcomeOf(pair, text, exampleOf(row));
    return saysOneText(pair.judge) && holds(text, pair.payload) ? "P" : "";
  }

  /** @param {boolean} busy */
  during(busy) {
    this.busy = busy;
    this.run.textContent = busy ? "Stop" : "Run again";
    /** @type {HTMLButtonElement} */ (this.run).disabled = !busy && !this.player();
    if (busy) this.top.show("busy", "the model is answering");
  }

  stop() {
    this.playing.abort(new Error("stopped"));
    this.during(false);
  }

  runOrStop() {
    if (!this.busy) { this.sent = ""; this.plan(0); return; }
    this.stop();
    const player = this.player();
    this.top.show(player ? player.name : "none", "stopped");
    for (const card of this.cards) card.view.querySelector(".bkd-said")?.classList.remove("bkd-growing");
  }

  another() {
    const { prompts } = this.catalog.pairs[this.model.get("pair")];
    const at = prompts.findIndex((row) => row.clean === this.model.get("text"));
    this.set({ text: prompts[(at + 1) % prompts.length].clean });
  }

  /** @param {Pair} pair */
  drawTop(pair) {
    const what = this.top.line.querySelector(".bkd-what");
    if (what) what.textContent = `${pair.subject} + ${pair.adapter}, ${pair.shape[0]} layers × ${pair.shape[1]} heads`;
    if (!this.player()) this.top.show("table", "from the table");
    else if (!this.busy) this.top.show(this.player()?.name, "the model is ready");
    this.foot.replaceChildren(h("p", {},
      pair.source ? `Answers shown without a model: ledger entry ${pair.source}. ` : "No answers of this model were computed ahead. ",
      "Both models are asked the same text and are changed in the same way; answers are greedy. ",
      pair.clean ? `${pair.subject} had to be taught this attack's task first, so “clean” is a twin that was taught the task and no backdoor (${pair.clean}).` : "“Clean” is the subject without the planted adapter."));
  }

  /** Take over what was chosen in this tab before the page was left, unless another link was followed since. */
  fromTab() {
    const kept = readKept("playground");
    if (typeof kept?.link !== "string" || kept.hash !== location.hash) return;
    const read = readLink(kept.link, this.catalog);
    if (read) this.take(read.traits);
    this.kept = Boolean(read);
  }

  /** @param {Partial<Traits>} traits */
  take(traits) {
    if (Object.keys(traits).length) this.set(traits);
    if (traits.pair !== undefined) this.pair = traits.pair;
  }

  /** Take over what a link says. */
  fromLink() {
    if (!this.link || this.kept) { this.kept = false; return; }
    const read = readLink(location.hash, this.catalog);
    if (!read) return;
    const { traits, dropped } = read;
    this.take(traits);
    this.notice.hidden = !dropped.length;
    this.notice.textContent = dropped.length ? `The link had something that does not fit and was left out: ${dropped.join(", ")}.` : "";
    this.el.closest(".bkd-desk")?.scrollIntoView({ block: "start" });
  }

  async copyLink() {
    const link = writeLink(this.traits(), this.catalog);
    history.replaceState(history.state, "", link);
    keep("playground", { hash: location.hash, link });
    try {
      await navigator.clipboard.writeText(location.href);
      this.copied.textContent = "Copied.";
    } catch {
      this.copied.textContent = "The address of this page is the link now.";
    }
  }
}

export default { render: renderPlayground };
