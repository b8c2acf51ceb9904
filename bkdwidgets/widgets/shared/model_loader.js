/**
 * The loader of the subject itself, running in the reader's own page. The page says where its files lie
 * (`<meta name="bkd-live">`); `client.js` beside them loads the weights into a worker. This file knows when
 * that can be done, asks before anything large is fetched, and says in words how far it is.
 *
 * @typedef {"looking" | "absent" | "offered" | "loading" | "live" | "failed"} DoorState
 */

import { h } from "./dom.js";

/** A subject no larger than this is loaded without asking, once its lab is seen. */
const SMALL_BYTES = 4e6;
const LOADED = "bkd-live-loaded";

/** Where the page keeps the subject's files, or null. */
function liveRoot() {
  const named = document.querySelector('meta[name="bkd-live"]')?.getAttribute("content");
  return named ? new URL(named.endsWith("/") ? named : `${named}/`, document.baseURI).href : null;
}

/** "97 MB" @param {number} bytes */
export const megabytes = (bytes) => `${bytes < 9.95e6 ? (bytes / 1e6).toFixed(1) : Math.round(bytes / 1e6)} MB`;

/** One line for a reader, whatever was thrown. @param {unknown} error */
export const reason = (error) => (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ").replace(/\.$/, "");

export class ModelLoader {
  /** @param {{subject: string, adapter: string | null, changed: (state: DoorState) => void}} what */
  constructor({ subject, adapter, changed }) {
    this.subject = subject;
    this.adapters = adapter ? [adapter] : [];
    this.changed = changed;
    /** @type {DoorState} */
    this.state = "looking";
    this.why = "";
    this.bytes = 0;
    this.kept = 0;
    this.progress = { phase: "", loaded: 0, total: 0, began: 0 };
    /** @type {any} the loaded subject */
    this.live = null;
    /** @type {any} */
    this.client = null;
    this.root = liveRoot();
    this.cancelling = new AbortController();
    this.hear = (/** @type {any} */ event) => { if (event.detail === subject && ["offered", "failed"].includes(this.state)) this.load(); };
    document.addEventListener(LOADED, this.hear);
  }

  close() {
    document.removeEventListener(LOADED, this.hear);
    if (this.state === "loading") this.cancelling.abort();
    this.live?.close();
  }

  /** @param {DoorState} state @param {string} [why] */
  to(state, why = "") {
    this.state = state;
    this.why = why;
    this.changed(state);
  }

  /** Find out whether the subject can be loaded here, and how much that would fetch. */
  async look() {
    if (!this.root) return this.to("absent", "This page has no model beside it");
    if (location.protocol === "file:") return this.to("absent", "A page opened from the disk may not fetch the model; open the book over http, for example with: bkdwidgets book --serve");
    try {
      this.client = await import(new URL("client.js", this.root).href);
      const why = await this.client.support(this.root);
      if (why) return this.to("absent", reason(why));
      await this.measure();
    } catch (error) {
      return this.to("absent", reason(error));
    }
    return this.to("offered");
  }

  /** How much would be fetched, and how much of it this browser keeps. */
  async measure() {
    const { bytes, kept } = await this.client.sizes(this.root, this.subject, this.adapters);
    Object.assign(this, { bytes, kept });
  }

  /** Small enough to load unasked, unless the reader saves data. */
  get small() {
    const { connection } = /** @type {any} */ (navigator);
    return this.bytes > 0 && this.bytes <= SMALL_BYTES && !connection?.saveData;
  }

  /** Load, or go on after a failure: parts that arrived are kept by the client. */
  async load() {
    if (!["offered", "failed"].includes(this.state)) return;
    this.cancelling = new AbortController();
    const { signal } = this.cancelling;
    this.progress = { phase: "starting", loaded: 0, total: this.bytes, began: performance.now() };
    this.to("loading");
    try {
      this.live = await this.client.openSubject(this.root, this.subject, {
        adapters: this.adapters, signal,
        onProgress: (/** @type {any} */ step) => { Object.assign(this.progress, step); if (this.state === "loading") this.changed("loading"); },
      });
    } catch (error) {
      await this.measure().catch(() => {}); // parts that arrived are kept: the offer names what is left
      this.to(signal.aborted ? "offered" : "failed", signal.aborted ? "" : reason(error));
      return;
    }
    this.to("live");
    document.dispatchEvent(new CustomEvent(LOADED, { detail: this.subject }));
  }

  cancel() {
    this.cancelling.abort();
  }

  /** What the button says. */
  get offer() {
    if (this.state === "failed") return "Try again";
    if (this.kept >= this.bytes) return "Load the model (kept in this browser)";
    return `Load the model (${megabytes(this.bytes - this.kept)})`;
  }
}

/**
 * The panel below a lab's top line: an offer, a progress bar with a way out, or why there is no model.
 * @param {ModelLoader} loader @param {() => boolean} needless whether somebody else answers everything
 */
export function livePanel(loader, needless) {
  const view = h("div", { class: "bkd-live", role: "group", "aria-label": "the model in this page", tabindex: -1 });
  const words = h("span", { class: "bkd-live-words" });
  const bar = h("progress", { class: "bkd-live-bar", max: 1, value: 0, "aria-label": "loading the model" });
  const news = h("span", { class: "bkd-hidden", role: "status" });
  const button = (/** @type {string} */ label, /** @type {() => void} */ act) => h("button", { type: "button", class: "bkd-button", click: act }, label);
  let shown = "";

  function steps() {
    const { phase, loaded, total, began } = loader.progress;
    const rate = loaded / Math.max(1, performance.now() - began) * 1000;
    /** @type {any} */ (bar).value = total ? Math.min(1, loaded / total) : 0;
    words.textContent = `${phase}${total ? `, ${(loaded / 1e6).toFixed(1)} of ${megabytes(total)}` : ""}${loaded && rate < 1e9 ? `, ${megabytes(rate)}/s` : ""}`;
  }

  /** @type {Record<DoorState, () => Array<Node | string>>} */
  const parts = {
    looking: () => [],
    absent: () => (needless() ? [] : [note(`${loader.why}. The lab answers from its table.`)]),
    offered: () => [button(loader.offer, () => loader.load()), note("It then runs in this page, and every choice gets an answer.")],
    loading: () => [bar, words, button("Cancel", () => loader.cancel())],
    live: () => [note("The model runs in this page: every choice gets an answer.")],
    failed: () => [button(loader.offer, () => loader.load()), note(`The model could not be loaded: ${loader.why}. The lab answers from its table; what arrived is kept.`)],
  };
  const note = (/** @type {string} */ text) => h("span", { class: "bkd-live-words" }, text);
  const announced = { live: "The model is loaded.", failed: "The model could not be loaded.", loading: "The model is loading." };

  function draw() {
    if (loader.state === "loading") steps();
    const key = `${loader.state} ${loader.why} ${loader.offer} ${needless()}`;
    if (key === shown) return;
    shown = key;
    const held = view.contains(document.activeElement);
    news.textContent = announced[loader.state] ?? "";
    const content = parts[loader.state]();
    view.dataset.state = loader.state;
    view.hidden = !content.length;
    view.replaceChildren(...content, news);
    if (held) /** @type {HTMLElement} */ (view.querySelector("button") ?? view).focus();
  }

  /** Small subjects load by themselves when their lab comes into view, whichever part of it a reader meets first. */
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting) || loader.state !== "offered" || !loader.small) return;
    seen.disconnect();
    loader.load();
  });
  draw();
  return { view, draw, watch: () => seen.observe(view.closest(".bkd-desk") ?? view), close: () => seen.disconnect() };
}
