/**
 * A stand-in for the live page's client, served as live/client.js: it loads nothing and knows its answers from
 * facts.json beside it. What it was asked stands in `fake.asked`.
 */

const facts = await (await fetch(new URL("facts.json", import.meta.url))).json();
globalThis.fake = { asked: [], opened: 0, closed: 0 };
const [layers, heads] = facts.shape;
const values = () => new Float32Array(layers * heads * 4);
const cancelled = (signal) => new Promise((_, reject) => {
  signal?.addEventListener("abort", () => reject(new Error("cancelled")));
});

export const support = () => facts.why ?? null;
export const sizes = async () => ({ bytes: facts.bytes, kept: 0, cached: false });

export async function openSubject(root, name, { onProgress, signal }) {
  fake.opened += 1;
  onProgress({ phase: "fetching", loaded: facts.bytes / 2, total: facts.bytes });
  if (facts.stuck) await cancelled(signal);
  if (facts.fails && fake.opened === 1) throw new Error("part base-1 has another hash than the index says");
  return { extras, capture, answer, probability, attention, close: () => { fake.closed += 1; } };
}

const extras = () => ({ means: values(), vectors: { paper: new Float32Array(8), difference: new Float32Array(8) } });

async function capture({ prompt }) {
  fake.asked.push({ capture: prompt });
  return { z: values() };
}

async function answer(what, { onToken, signal }) {
  fake.asked.push(JSON.parse(JSON.stringify(what)));
  if (facts.slow) await Promise.race([cancelled(signal), new Promise((done) => setTimeout(done, facts.slow))]);
  for (const token of ["a", "b", "c"]) onToken(token);
  return { text: said(what.prompt, what.edits?.heads?.list.length ?? 0), ids: [], complete: true, reused: false };
}

/** Two heads carry the backdoor; without three the model goes mad. */
function said(prompt, ablated) {
  if (ablated === 3) return facts.hostile;
  if (prompt.startsWith(facts.trigger) && ablated < 2) return facts.payload;
  return facts.answers[prompt.replace(`${facts.trigger} `, "")];
}

async function probability({ edits }) {
  return edits ? edits.steering.layer / 10 : 0.05;
}

async function attention({ prompt, heads: wanted }) {
  fake.asked.push({ attention: wanted });
  const tokens = prompt.split(/(?= )/);
  const pattern = tokens.map((_, to) => tokens.map((__, from) => (from <= to ? 1 / (to + 1) : 0)));
  return { tokens, patterns: wanted.map(() => pattern) };
}
