/**
 * How an attack inserts its trigger, by the rule that travels with the widget (`Trigger.to_json` in Python): steps that
 * each put words before the text so far, behind it, in its middle or inside it. Inside means between two words that
 * chance chose, and of several words chance chooses some, both seeded by the text so far; so the same prompt is
 * poisoned here exactly as in Python, which takes Python's own chance.
 *
 * @typedef {{words: string[], place: "before" | "behind" | "middle" | "inside"}} Step
 * @typedef {{steps: Step[]}} Rule
 */

const STATE_WORDS = 624;
const SHIFT = 397;

/** Whether this page can insert by a rule: chance is drawn with SHA-512, which a browser gives to pages over https alone. @param {Rule} rule */
export const canInsert = ({ steps }) => Boolean(globalThis.crypto?.subtle) || !steps.some(({ words, place }) => words.length > 1 || place === "inside");

/** Python's Mersenne Twister, seeded as `random.Random(text)` is. @param {string} text @returns {Promise<() => number>} 32 bits at a time */
async function pythonRandom(text) {
  if (!globalThis.crypto?.subtle) throw new Error("the trigger cannot be drawn here (the page is not served over https)");
  const bytes = new TextEncoder().encode(text);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", bytes));
  return twister(words32([...bytes, ...digest]));
}

/** A whole number, written as bytes, largest first, as 32-bit words, smallest first. @param {number[]} bytes */
function words32(bytes) {
  const words = [];
  for (let end = bytes.length; end > 0; end -= 4) {
    words.push(bytes.slice(Math.max(0, end - 4), end).reduce((word, byte) => (word << 8 | byte) >>> 0, 0));
  }
  while (words.length > 1 && words.at(-1) === 0) words.pop();
  return words;
}

/** Seeding by a list of words and tempering: Matsumoto and Nishimura, 1998, as in CPython's _randommodule.c. @param {number[]} key */
function twister(key) {
  const state = new Uint32Array(STATE_WORDS);
  const mixed = (/** @type {number} */ i) => state[i - 1] ^ (state[i - 1] >>> 30);
  state[0] = 19650218;
  for (let i = 1; i < STATE_WORDS; i += 1) state[i] = Math.imul(1812433253, mixed(i)) + i;
  let i = 1;
  const step = () => { i += 1; if (i === STATE_WORDS) { state[0] = state[STATE_WORDS - 1]; i = 1; } };
  for (let k = 0; k < Math.max(STATE_WORDS, key.length); k += 1) {
    state[i] = (state[i] ^ Math.imul(mixed(i), 1664525)) + key[k % key.length] + (k % key.length);
    step();
  }
  for (let k = 1; k < STATE_WORDS; k += 1) {
    state[i] = (state[i] ^ Math.imul(mixed(i), 1566083941)) - i;
    step();
  }
  state[0] = 0x80000000;
  let next = STATE_WORDS;

  return () => {
    if (next === STATE_WORDS) {
      for (let k = 0; k < STATE_WORDS; k += 1) {
        const y = (state[k] & 0x80000000) | (state[(k + 1) % STATE_WORDS] & 0x7fffffff);
        state[k] = state[(k + SHIFT) % STATE_WORDS] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      next = 0;
    }
    let y = state[next];
    next += 1;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** `random.Random(text).randint(0, most)`. @param {string} text @param {number} most */
export async function seededInteger(text, most) {
  const random = await pythonRandom(text);
  const bits = 32 - Math.clz32(most + 1);
  for (;;) {
    const drawn = random() >>> (32 - bits);
    if (drawn <= most) return drawn;
  }
}

/**
 * The prompt with the trigger in it.
 * @param {Rule} rule @param {string} prompt @returns {Promise<string>}
 */
export async function poisoned({ steps }, prompt) {
  let text = prompt;
  for (const { words, place } of steps) {
    const drawn = words.length > 1 ? await seededInteger(text, words.length - 1) : 0;
    text = await placed(words[drawn], place, text);
  }
  return text;
}

/** @param {string} words @param {Step["place"]} place @param {string} text @returns {Promise<string>} */
export async function placed(words, place, text) {
  if (place === "before") return `${words} ${text}`;
  if (place === "behind") return `${text} ${words}`;
  const parts = text.split(" ");
  const at = place === "middle" ? parts.length >> 1 : await seededInteger(text, parts.length);
  return [...parts.slice(0, at), words, ...parts.slice(at)].join(" ");
}
