/**
 * The third engine: the subject in this page. What a choice means (which edits, which prompts) is the lab's
 * business; this file asks one thing at a time, drops what nobody waits for any more, and judges what comes.
 */

import { exampleOf, outcomeOf } from "./judge.js";

const TIMED_TOKENS = 8;

/** Milliseconds from one token to the next, or null where too few came to tell. @param {number} gaps between tokens @param {number} spent on all of them */
export const pace = (gaps, spent) => (gaps >= TIMED_TOKENS - 1 ? spent / gaps : null);

export class BrowserEngine {
  /**
   * @param {ModelLoader} loader
   * @param {(live: any, choice: any, signal: AbortSignal) => Promise<any>} work the lab's answer to a choice
   */
  constructor(loader, work) {
    this.name = "browser";
    this.loader = loader;
    this.work = work;
    /** @type {Map<string, Answer>} */
    this.known = new Map();
    this.asking = new AbortController();
  }

  get ready() {
    return this.loader.live !== null;
  }

  /** @param {any} choice */
  find(choice) {
    return this.known.get(JSON.stringify(choice)) ?? null;
  }

  /** Drop what is under way. */
  stop() {
    this.asking.abort();
  }

  /** The newest choice is answered, older ones are dropped. @param {any} choice @returns {Promise<Answer>} */
  ask(choice) {
    this.stop();
    this.asking = new AbortController();
    return this.answered(choice, this.asking.signal);
  }

  /**
   * The same choice for every prompt, until another choice is asked.
   * @param {any} choice @param {number} prompts @param {(answers: Answer[]) => void} step after each prompt
   */
  async survey(choice, prompts, step) {
    if (this.asking.signal.aborted) this.asking = new AbortController();
    const { signal } = this.asking;
    const answers = [];
    for (let prompt = 0; prompt < prompts; prompt += 1) {
      const sent = { ...choice, prompt };
      answers.push(this.find(sent) ?? await this.answered(sent, signal));
      if (signal.aborted) return;
      step(answers);
    }
  }

  /** @param {any} choice @param {AbortSignal} signal @returns {Promise<Answer>} */
  async answered(choice, signal) {
    const began = performance.now();
    const made = await this.work(this.loader.live, choice, signal);
    if (signal.aborted) throw new Error("another choice was made");
    const answer = { engine: "browser", seconds: (performance.now() - began) / 1000, ...made };
    this.known.set(JSON.stringify(choice), answer);
    return answer;
  }
}

/**
 * What the model in the page says to both forms of a prompt, judged.
 * @param {any} live @param {any} table @param {number} prompt
 * @param {{clean: any, triggered: any}} edits what is done to the model for each form @param {AbortSignal} signal
 */
export async function saidLive(live, table, prompt, edits, signal) {
  const row = table.prompts[prompt];
  let [gaps, spent] = [0, 0];
  /** @param {"clean" | "triggered"} role @returns {Promise<Said>} */
  async function half(role) {
    let [first, last] = [0, 0];
    const onToken = () => { last = performance.now(); if (first) gaps += 1; else first = last; };
    const { text } = await live.answer({ prompt: row[role], adapter: table.adapter ?? null, edits: edits[role] }, { onToken, signal });
    spent += last - first;
    return { text, outcome: outcomeOf(table, text, exampleOf(row)) };
  }
  const triggered = await half("triggered");
  const clean = await half("clean");
  return { clean, triggered, perToken: pace(gaps, spent) };
}
