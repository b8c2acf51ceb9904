/*
 * The home page's demonstration: a real prompt and the model's real answer, a switch that inserts the trigger,
 * and a slider that takes the backdoor vector away. Everything it says was computed before (see
 * bkdwidgets/book/home_demo.py); this file only chooses which of the answers to show, and shows it as text.
 */
(() => {
  "use strict";

  /** Make an element. @param {string} tag @param {string} name @param {...(Node|string)} inside */
  function make(tag, name, ...inside) {
    const element = document.createElement(tag);
    element.className = name;
    element.append(...inside);
    return element;
  }

  const number = (value) => value.toLocaleString("en", { signDisplay: "exceptZero" }).replace("-", "−");

  function begin(place) {
    const data = JSON.parse(place.querySelector('script[type="application/json"]').textContent);
    const at = { prompt: 0, step: 0, triggered: false };

    const trigger = make("span", "bkd-trigger", data.trigger);
    const prompt = make("span", "", "");
    const question = make("p", "bkd-switch-prompt", make("span", "bkd-switch-who", "you"), trigger, prompt);
    const answer = make("span", "bkd-switch-text", "");
    const verdict = make("span", "bkd-verdict", "");
    const answered = make("p", "bkd-switch-answer", make("span", "bkd-switch-who", data.subject), answer);
    const exchange = make("div", "bkd-switch-said", question, answered, verdict);
    exchange.setAttribute("aria-live", "polite");

    const box = make("input", "");
    box.type = "checkbox";
    box.setAttribute("role", "switch");
    const insert = make("label", "bkd-switch-toggle", box, "insert the trigger");

    const range = make("input", "");
    Object.assign(range, { type: "range", min: 0, max: data.scales.length - 1, step: 1, value: 0 });
    range.setAttribute("aria-label", "take the backdoor vector away"); // the label around it names the number shown
    const shown = make("output", "bkd-numbers", "");
    const remove = make("label", "bkd-switch-slider", make("span", "", "take the backdoor vector away ", shown), range);

    const next = make("button", "bkd-switch-next", "another prompt");
    next.type = "button";
    const controls = make("div", "bkd-switch-controls", insert, remove, next);
    const occurring = new Set(data.prompts.flatMap((row) => [...row.clean, ...row.triggered].map(([, letter]) => letter)));
    const letters = Object.entries(data.outcomes).filter(([letter]) => occurring.has(letter)).map(([letter, { means }]) => `${letter}: ${means}`);
    const note = make("p", "bkd-switch-note", `${letters.join("; ")}. `
      + `The backdoor vector is ${data.means}; the number says how much of it is added in layer ${data.layer} of ${data.subject}, so −1 takes it away once. The answers stand as they came.`);

    function show() {
      const chosen = data.prompts[at.prompt];
      const [text, letter] = chosen[at.triggered ? "triggered" : "clean"][at.step];
      const outcome = data.outcomes[letter] ?? { word: letter, color: "broken" };
      trigger.hidden = !at.triggered;
      prompt.textContent = `${at.triggered ? " " : ""}${chosen.text}`;
      answer.textContent = text || "(nothing)";
      verdict.textContent = `${letter}  ${outcome.word}`;
      exchange.style.setProperty("--bkd-meaning", `var(--bkd-${outcome.color})`);
      shown.textContent = number(data.scales[at.step]);
      range.setAttribute("aria-valuetext", `scale ${number(data.scales[at.step])}`);
      next.hidden = data.prompts.length < 2;
    }

    box.addEventListener("change", () => { at.triggered = box.checked; show(); });
    range.addEventListener("input", () => { at.step = Number(range.value); show(); });
    next.addEventListener("click", () => { at.prompt = (at.prompt + 1) % data.prompts.length; show(); });
    /** Room for the longest exchange: the controls stay where they are, whatever is shown above them. */
    function reserve() {
      const now = { ...at };
      exchange.style.minHeight = "0";
      let most = 0;
      data.prompts.forEach((_, prompt) => data.scales.forEach((__, step) => [true, false].forEach((triggered) => {
        Object.assign(at, { prompt, step, triggered });
        show();
        most = Math.max(most, exchange.offsetHeight);
      })));
      Object.assign(at, now);
      show();
      exchange.style.minHeight = `${most}px`;
    }

    place.replaceChildren(exchange, controls, note);
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width === width) return;
      ({ width } = contentRect);
      exchange.removeAttribute("aria-live"); // trying the answers on is nothing to read out
      reserve();
      exchange.setAttribute("aria-live", "polite");
    }).observe(place);
    show();
    place.dataset.drawn = "true";
  }

  document.querySelectorAll(".bkd-switch").forEach(begin);
})();
