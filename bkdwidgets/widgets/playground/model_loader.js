/**
 * The loader of a subject in which several things were planted: it is opened with one adapter, and fetches another
 * when that one is chosen. Where the clean model of a backdoor is a clean twin, that comes along.
 *
 * @typedef {{adapter: string, clean: string | null}} Planted
 */

import { ModelLoader, reason } from "../shared/model_loader.js";

/** @param {Planted} planted @returns {string[]} */
const adaptersOf = ({ adapter, clean }) => (clean ? [adapter, clean] : [adapter]);

export class SwitchingLoader extends ModelLoader {
  /** @param {{subject: string, planted: Planted, changed: (state: DoorState) => void}} what */
  constructor({ subject, planted, changed }) {
    super({ subject, adapter: null, changed });
    this.adapters = adaptersOf(planted);
    /** Adapters that are in the loaded subject. @type {Set<string>} */
    this.loaded = new Set();
    /** The subject as it was after each load: an answer may be under way in an earlier one. @type {any[]} */
    this.held = [];
  }

  /** The backdoor that is wanted; its clean twin, if it has one, comes with it. */
  get adapter() {
    return this.adapters[0];
  }

  /** Whether the subject is here with the adapter that is wanted. */
  get ready() {
    return this.live !== null && this.loaded.has(this.adapter);
  }

  /**
   * Another adapter. Where the subject is here it is fetched at once, since the reader chose it; unless the reader saves data.
   * @param {Planted} planted
   */
  async want(planted) {
    const { adapter } = planted;
    if (adapter === this.adapter) return;
    this.adapters = adaptersOf(planted);
    if (!["offered", "live", "failed"].includes(this.state)) return; // who looks or loads sees to it at the end
    if (this.ready) { this.to("live"); return; }
    try {
      await this.measure();
    } catch (error) {
      this.to("failed", reason(error));
      return;
    }
    if (adapter !== this.adapter || this.state === "loading") return;
    this.to("offered");
    if (this.live && !/** @type {any} */ (navigator).connection?.saveData) await this.load();
  }

  async load() {
    const { adapter, live } = this;
    await super.load();
    if (this.state !== "live" || this.live === live) return;
    this.loaded.add(adapter);
    this.held.push(this.live);
    if (this.ready) return;
    this.state = "offered"; // another one was chosen meanwhile
    await this.load();
  }

  close() {
    super.close();
    for (const live of this.held) live.close();
  }

  get offer() {
    return this.live ? super.offer.replace("the model", "this backdoor") : super.offer;
  }
}
