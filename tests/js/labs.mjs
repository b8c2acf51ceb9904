/** The labs' files are joined before they run (see bkdwidgets/widgets/assets.py); tests join them too. */

import { readFileSync } from "node:fs";

const folder = new URL("../../bkdwidgets/widgets/js/", import.meta.url);

/**
 * Import some of the labs' files as one module.
 * @param {string[]} parts files without their ending, in order @param {string[]} names what the test needs of them
 */
export function joined(parts, names) {
  const code = parts.map((part) => readFileSync(new URL(`${part}.js`, folder), "utf8").replace(/^export .*$/gm, "")).join("\n");
  const exported = `${code}\nexport { ${names.join(", ")} };\n`;
  return import(`data:text/javascript;base64,${Buffer.from(exported).toString("base64")}`);
}
