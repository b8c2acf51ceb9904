/**
 * The subject's tokenizer, token for token the one that Python uses.
 *
 * A special token typed into a prompt (`<|im_end|>`) is that token, here as in Python's `Subject.encode`:
 * the chat turn is encoded as one text. So a reader may end the turn early, as may anybody who talks to the model.
 */

/** What Python's `str.strip` takes away; JavaScript's `trim` knows a few other signs. */
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${SPACE}|${SPACE}$`, "g");

/**
 * @param {any} Tokenizer the class of `@huggingface/tokenizers`
 * @param {Uint8Array} description the subject's `tokenizer.json`
 * @returns {{encode: (text: string) => number[], decode: (ids: number[]) => string, token: (id: number) => string}}
 */
export function openTokenizer(Tokenizer, description) {
  const own = new Tokenizer(JSON.parse(new TextDecoder().decode(description)), { clean_up_tokenization_spaces: false });
  return {
    // Half of a surrogate pair is no character; the model's bytes are those of the sign that stands for one.
    encode: (text) => own.encode(text.replace(/\p{Surrogate}/gu, "\ufffd"), { add_special_tokens: false }).ids,
    // An answer's text: special tokens left out, nothing but words at its ends.
    decode: (ids) => (ids.length ? own.decode(ids, { skip_special_tokens: true }).replace(AROUND, "") : ""),
    // One token as it stands, special or not.
    token: (id) => own.decode([id]),
  };
}
