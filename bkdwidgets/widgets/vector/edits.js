/** What a choice of vector, layer and scale does to a model that runs in this page. */

/** The choice as edits of a model that runs in this page. @param {any} live @param {any} table @param {{vector: string, layer: number, scale: number}} choice */
export async function vectorEdits(live, table, { vector, layer, scale }) {
  if (scale === 0) return { clean: null, triggered: null };
  const found = (await live.extras(table.adapter ?? null))?.vectors?.[vector];
  if (!found) throw new Error(`the page carries no ${vector} vector of this model`);
  const steering = (/** @type {number} */ by) => ({ steering: { vector: found, layer, scale: by, everywhere: false } });
  return { clean: steering(scale), triggered: steering(-scale) };
}
