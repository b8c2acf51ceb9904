/** What the page is told when the model cannot run, and how questions end: answered, stopped, or with their worker. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { openSubject, support } from "../../bkdwidgets/browser/js/client.js";

const ROOT = "https://book.example/_static/live/";

/** A worker that writes down what it hears, and answers when told to. */
class FakeWorker {
  /** @type {FakeWorker[]} */ static all = [];
  /** @type {any[]} */ heard = [];
  ended = false;
  constructor(/** @type {URL} */ url, /** @type {any} */ options) {
    this.url = url.href;
    this.options = options;
    FakeWorker.all.push(this);
  }
  postMessage(/** @type {any} */ message) { this.heard.push(structuredClone(message)); }
  terminate() { this.ended = true; }
  say(/** @type {any} */ message) { /** @type {any} */ (this).onmessage({ data: message }); }
  get last() { return this.heard.at(-1); }
}
/** @type {any} */ (globalThis).Worker = FakeWorker;

const opened = { shape: { n_layers: 1 }, adapters: [{ name: "a" }], extras: { a: { means: null, vectors: {} } }, memory: 9 };

/** @type {any[]} */
let users = [];
afterEach(() => {
  for (const user of users) user.close();
  users = [];
  FakeWorker.all = [];
});

async function open(/** @type {any} */ how) {
  const asked = openSubject(ROOT, "toy", how);
  const worker = /** @type {FakeWorker} */ (FakeWorker.all.at(-1));
  worker.say({ id: worker.last.id, result: opened });
  users.push(await asked);
  return { subject: users.at(-1), worker };
}

test("why the model cannot run is said in a sentence", () => {
  assert.equal(support(ROOT), null);
  assert.match(String(support("")), /came without the live model/);
  assert.match(String(support(null)), /came without the live model/);
  assert.match(String(support("file:///home/reader/book/_static/live/")), /page on the disk/);
  for (const [name, says] of [["Worker", /no Web Workers/], ["DecompressionStream", /too old/], ["WebAssembly", /SIMD/], ["crypto", /https/]]) {
    const own = Object.getOwnPropertyDescriptor(globalThis, /** @type {string} */ (name));
    Object.defineProperty(globalThis, /** @type {string} */ (name), { value: undefined, configurable: true, writable: true });
    assert.match(String(support(ROOT)), /** @type {RegExp} */ (says));
    Object.defineProperty(globalThis, /** @type {string} */ (name), /** @type {PropertyDescriptor} */ (own));
  }
  assert.equal(support(ROOT), null);
});

test("what is not supported is not opened", async () => {
  await assert.rejects(openSubject("file:///x/", "toy"), /page on the disk/);
  assert.equal(FakeWorker.all.length, 0);
});

test("labs share one worker, which ends with its last user", async () => {
  const { subject: first, worker } = await open({ adapters: ["a"] });
  const { subject: second } = await open({ adapters: ["b"] });
  assert.equal(FakeWorker.all.length, 1);
  assert.deepEqual(worker.heard.map(({ method, what }) => [method, what.adapters]), [["open", ["a"]], ["open", ["b"]]]);
  assert.equal(worker.url, `${ROOT}worker.js`);
  assert.deepEqual(first.extras("a"), { means: null, vectors: {} });
  assert.throws(() => first.extras("c"), /not loaded/);
  first.close();
  first.close();
  assert.equal(worker.ended, false);
  await assert.rejects(first.next({}), /closed/);
  second.close();
  assert.equal(worker.ended, true);
  const { worker: another } = await open({});
  assert.notEqual(another, worker);
});

test("tokens arrive on the way, answers at the end, errors as one line", async () => {
  const { subject, worker } = await open({});
  const seen = [];
  const answer = subject.answer({ prompt: "x" }, { onToken: (/** @type {any} */ token) => seen.push(token.text) });
  worker.say({ id: worker.last.id, event: { id: 1, text: "a" } });
  worker.say({ id: worker.last.id, event: { id: 2, text: "ab" } });
  worker.say({ id: worker.last.id, result: { text: "ab" } });
  assert.deepEqual(await answer, { text: "ab" });
  assert.deepEqual(seen, ["a", "ab"]);
  const wrong = subject.next({ prompt: "" });
  worker.say({ id: worker.last.id, error: { name: "RuntimeError", message: "the prompt is empty" } });
  await assert.rejects(wrong, { name: "Error", message: "the prompt is empty" });
  const zero = subject.probability({});
  worker.say({ id: worker.last.id, result: 0 });
  assert.equal(await zero, 0);
  await assert.rejects(subject.capture({ prompt: () => {} }), /cannot be sent/);
});

test("stopping is told to the worker, and only that question ends", async () => {
  const { subject, worker } = await open({});
  const stop = new AbortController();
  const stopped = subject.answer({ prompt: "x" }, { signal: stop.signal });
  const { id } = worker.last;
  const other = subject.next({});
  const otherId = worker.last.id;
  stop.abort();
  await assert.rejects(stopped, { name: "AbortError" });
  assert.deepEqual(worker.last, { cancel: id });
  worker.say({ id, error: { name: "AbortError", message: "late" } });
  worker.say({ id: otherId, result: [] });
  assert.deepEqual(await other, []);
  await assert.rejects(subject.next({}, { signal: stop.signal }), { name: "AbortError" });
});

test("a cancelled load ends the worker; the next call starts another", async () => {
  const stop = new AbortController();
  const asked = openSubject(ROOT, "toy", { signal: stop.signal });
  const [worker] = FakeWorker.all;
  stop.abort();
  await assert.rejects(asked, { name: "AbortError" });
  assert.equal(worker.ended, true);
  await open({});
  assert.equal(FakeWorker.all.length, 2);
});

test("a worker that dies takes its questions with it, in words, and is replaced", async () => {
  const { subject, worker } = await open({});
  const asked = subject.next({});
  /** @type {any} */ (worker).onerror({ message: "out of memory", preventDefault() {} });
  await assert.rejects(asked, /worker stopped: out of memory/);
  await assert.rejects(subject.next({}), /worker stopped/);
  await open({});
  subject.close(); // the old one's user leaves; the new worker stays
  assert.equal(FakeWorker.all.length, 2);
  assert.equal(FakeWorker.all[1].ended, false);
});
