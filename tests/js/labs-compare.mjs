/** Every cell of two lab tables, on the first prompt, against what the model in the page says. Served beside the views' modules. */

import { ablationEdits } from "./widgets/ablation/view.js";
import { saidLive } from "./widgets/shared/page_engine.js";

const SIDES = ["clean", "triggered"];

/** @returns {Promise<{same: number, all: number, different: string[][]}>} */
export async function compared(ablation, vector) {
  const root = new URL("live/", document.baseURI).href;
  const client = await import(new URL("client.js", root).href);
  const live = await client.openSubject(root, ablation.subject, { adapters: [ablation.adapter] });
  const found = { same: 0, all: 0, different: [] };

  async function compare(table, name, row, edits) {
    const said = await saidLive(live, table, 0, { clean: edits, triggered: edits }, new AbortController().signal);
    for (const side of SIDES) {
      const [number, letter] = row[side][0];
      found.all += 1;
      if (said[side].text === table.texts[number] && said[side].outcome === letter) found.same += 1;
      else found.different.push([name, side, table.texts[number], said[side].text]);
    }
  }

  for (const row of [...ablation.top, ...ablation.single]) {
    const heads = row.head ? [row.head] : ablation.ranked.slice(0, row.k);
    const edits = await ablationEdits(live, ablation, { kind: row.kind, where: row.where, heads, prompt: 0 });
    await compare(ablation, `${row.kind} ${row.where} ${heads.length}`, row, edits);
  }
  const { vectors } = live.extras(vector.adapter);
  for (const { vector: kind, layer, scale, ...cell } of vector.cells) {
    const steering = { vector: vectors[kind], layer, scale, everywhere: false };
    await compare(vector, `${kind} L${layer} ${scale}`, cell, scale ? { steering } : null);
  }
  return found;
}
