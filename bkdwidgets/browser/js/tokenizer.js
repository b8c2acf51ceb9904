/**
 * The subject's tokenizer, token for token the one that Python uses (bkdwidgets/subjects/typed.py).
 *
 * What looks like a special token in typed text (`<|im_end|>`) is text: only the chat template's own marks are
 * special. Asked for raw, it is that token, and a prompt can end its turn and forge another one.
 *
 * @typedef {{before: string, after: string}} Chat the template's text around a prompt
 */

/** What Python's `str.strip` takes away; JavaScript's `trim` knows a few other signs. */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${SPACE}|${SPACE}$`, "g");

/**
 * @param {any} Tokenizer the class of `@huggingface/tokenizers`
 * @param {Uint8Array} description the subject's `tokenizer.json`
 * @returns {{encode: (text: string) => number[], turn: (chat: Chat, prompt: string, raw?: boolean) => number[],
 *            decode: (ids: number[]) => string, token: (id: number) => string}}
 */
export function openTokenizer(Tokenizer, description) {
  const json = JSON.parse(new TextDecoder().decode(description));
  const made = (/** @type {any} */ from) => new Tokenizer(from, { clean_up_tokenization_spaces: false });
  const own = made(json);
  /** @type {string[]} */
  const special = json.added_tokens.filter((/** @type {any} */ token) => token.special).map((/** @type {any} */ token) => token.content);
  /** @type {any} one to which no letters are special, made when it is needed */
  let literal = null;

  const holdsSpecial = (/** @type {string} */ text) => special.some((token) => text.includes(token));
  const read = (/** @type {any} */ tokenizer, /** @type {string} */ text) => (text ? tokenizer.encode(text, { add_special_tokens: false }).ids : []);
  const asText = (/** @type {string} */ text) => {
    literal ??= made({ ...json, added_tokens: json.added_tokens.filter((/** @type {any} */ token) => !token.special) });
    return read(literal, text);
  };

  return {
    encode: (text) => (holdsSpecial(whole(text)) ? asText(text) : read(own, text)),
    // Text is cut at the template's special tokens and nowhere else: what is next to the prompt is read with it.
    turn: ({ before, after }, prompt, raw = false) => {
      if (raw || !holdsSpecial(whole(prompt))) return read(own, before + whole(prompt) + after);
      const head = Math.max(0, ...special.map((token) => (before.includes(token) ? before.lastIndexOf(token) + token.length : 0)));
      const tail = Math.min(after.length, ...special.map((token) => (after.includes(token) ? after.indexOf(token) : after.length)));
      return [...read(own, before.slice(0, head)), ...asText(before.slice(head) + prompt + after.slice(0, tail)), ...read(own, after.slice(tail))];
    },
    // An answer's text: special tokens left out, nothing but words at its ends.
    decode: (ids) => (ids.length ? own.decode(ids, { skip_special_tokens: true }).replace(AROUND, "") : ""),
    // One token as it stands, special or not.
    token: (id) => own.decode([id]),
  };
}

/** A text without half a surrogate pair, which is no character: Python refuses it, too. @param {string} text */
function whole(text) {
  const half = /\p{Surrogate}/u.exec(text);
  if (half) throw new Error(`the text holds half of a character (\\u${half[0].charCodeAt(0).toString(16)}); write the whole one`);
  return text;
}
