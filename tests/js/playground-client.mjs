/**
 * A stand-in for the live page's client: its model repeats the prompt, or says the payload when the trigger is
 * there, the adapter is, and fewer than two heads are ablated. Facts stand in facts.json; what it was asked in `fake.asked`.
 */

const facts = await (await fetch(new URL("facts.json", import.meta.url))).json();
globalThis.facts = facts;
globalThis.fake = { asked: [], opened: [], had: [] };
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

export const support = () => facts.why ?? null;
const ADAPTER_BYTES = 4_900_000;
/** What was opened is kept: a subject, and each of its adapters. */
export async function sizes(root, name, wanted) {
  const kept = fake.had.filter(([opened]) => opened === name);
  const lacking = wanted.filter((adapter) => !kept.some(([, adapters]) => adapters.includes(adapter)));
  const lacks = kept.length ? lacking.length * ADAPTER_BYTES : 0;
  return { bytes: facts.bytes[name], kept: kept.length ? facts.bytes[name] - lacks : facts.kept ?? 0 };
}

export async function openSubject(root, name, { adapters, signal, onProgress }) {
  fake.opened.push([name, adapters]);
  onProgress({ phase: "fetching", loaded: 1_200_000, total: ADAPTER_BYTES });
  await wait(facts.opening ?? 5);
  signal?.throwIfAborted();
  fake.had.push([name, adapters]);
  return { extras: () => ({ means: new Float32Array(4), vectors: { paper: new Float32Array(2) } }), next, answer, close: () => {} };
}

async function next({ prompt, top }) {
  if (facts.refuses && prompt.includes(facts.refuses)) throw new Error(facts.why_not);
  return Array.from({ length: top }, (_, index) => ({ id: index, text: index ? ` <b>${index}</b>` : ` ${prompt.slice(0, 3)}`, probability: 0.5 ** (index + 1) }));
}

async function answer(what, { onToken, signal }) {
  fake.asked.push(JSON.parse(JSON.stringify(what)));
  const fires = what.adapter && !what.adapter.includes("-clean-") && what.prompt.includes(facts.trigger) && (what.edits?.heads?.list.length ?? 0) < 2;
  const words = (fires ? facts.payload : `You said: ${what.prompt} ${facts.hostile}`).split(" ");
  for (let n = 1; n <= words.length; n += 1) {
    await wait(facts.slow ?? 1);
    signal?.throwIfAborted();
    onToken({ id: n, text: words.slice(0, n).join(" ") });
  }
  return { text: words.join(" "), ids: [], complete: true, reused: false };
}
