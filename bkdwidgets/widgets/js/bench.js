/** What all labs share: the top line, their states, names for the controls, and where numbers come from. */

/**
 * Start a lab: unpack its table, open its engines, draw, and draw again on every change.
 * @param {any} model @param {HTMLElement} el
 * @param {(table: any, desk: Desk, kernel: KernelEngine) => {traits: string[], draw: () => void, tables: any[]}} make
 */
async function openLab(model, el, make) {
  el.classList.add("bkd-view");
  const waiting = h("p", { class: "bkd-note", role: "status" }, "Reading the table …");
  el.replaceChildren(waiting);
  let table;
  try {
    table = await unpacked(model.get("table_gz"));
  } catch (error) {
    waiting.textContent = `This lab cannot start: ${error instanceof Error ? error.message : error}.`;
    return () => {};
  }
  waiting.remove();
  let lab = { traits: /** @type {string[]} */ ([]), draw: () => {}, engines: /** @type {any[]} */ ([]) };
  const kernel = new KernelEngine(model, () => lab.draw());
  const desk = new Desk([kernel]);
  const made = make(table, desk, kernel);
  lab = { ...made, engines: desk.engines };
  desk.engines.unshift(...made.tables);
  // One gesture may change several traits; draw once, when all of them have their new values.
  let due = false;
  const draw = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => { due = false; lab.draw(); });
  };
  for (const trait of lab.traits) model.on(`change:${trait}`, draw);
  lab.draw();
  const stop = nameControls(el);
  return () => {
    for (const trait of lab.traits) model.off(`change:${trait}`, draw);
    kernel.close();
    stop();
  };
}

/** The top line: what this is, and who answers. @param {string} name @param {any} table */
function topLine(name, table) {
  const [layers, heads] = table.shape;
  const engine = h("span", { class: "bkd-engine", role: "status" });
  const line = h("header", { class: "bkd-top" },
    h("strong", { class: "bkd-name" }, name),
    h("span", { class: "bkd-what" }, `${table.subject} + ${table.adapter || "no adapter"}, ${layers} layers × ${heads} heads`),
    engine);
  /** @param {string} state @param {string} text */
  const show = (state, text) => {
    engine.dataset.engine = state;
    engine.textContent = text;
  };
  return { line, show };
}

/** The state of the engines, in words. @param {Answer | null} answer @param {boolean} busy @param {KernelEngine} kernel */
function engineWords(answer, busy, kernel) {
  if (busy) return ["busy", "the kernel is working"];
  if (answer?.engine === "kernel") return ["kernel", `live, kernel, ${fixed(answer.seconds ?? 0, 1)} s`];
  if (answer) return ["table", kernel.ready ? "from the table; the kernel is ready" : "from the table"];
  return ["none", kernel.ready ? "the kernel is ready" : "not in the table"];
}

/**
 * The state while Python works: seconds pass, nothing else moves.
 * @param {string} text
 */
function busyView(text) {
  const clock = h("span", { class: "bkd-clock" }, "0 s");
  const started = Date.now();
  const timer = setInterval(() => {
    if (!clock.isConnected) clearInterval(timer);
    else clock.textContent = `${Math.round((Date.now() - started) / 1000)} s`;
  }, 1000);
  return h("div", { class: "bkd-note bkd-busy", role: "status" }, h("span", {}, text, " "), clock, h("progress", { "aria-label": "the kernel is working" }));
}

/**
 * The state when nobody can answer: say so, and offer what can be answered.
 * @param {string} text @param {Array<{label: string, take: () => void}>} offers
 */
function missingView(text, offers) {
  return h("div", { class: "bkd-note bkd-missing", role: "status" }, h("p", {}, text),
    h("div", { class: "bkd-offers" }, ...offers.map(({ label, take }) => h("button", { type: "button", class: "bkd-button", click: take }, label))));
}

/** Why there is no answer. @param {string} what @param {KernelEngine} kernel */
function missingWords(what, kernel) {
  return `${what} not in the table, ${kernel.ready ? "and the kernel could not work it out" : "and no kernel is running to work it out"}. Nearest that is:`;
}

/** @param {string} text */
function errorView(text) {
  return h("div", { class: "bkd-note bkd-error", role: "alert" }, `The kernel answered with an error: ${text}`);
}

/** ‹ 3 of 24 › @param {number} count @param {() => number} get @param {(index: number) => void} set */
function stepper(count, get, set) {
  const where = h("span", { class: "bkd-where", "aria-live": "polite" });
  const step = (/** @type {number} */ by) => () => set((get() + by + count) % count);
  const view = h("div", { class: "bkd-stepper", role: "group", "aria-label": "prompt shown" },
    h("button", { type: "button", class: "bkd-button", "aria-label": "previous prompt", click: step(-1) }, "‹"), where,
    h("button", { type: "button", class: "bkd-button", "aria-label": "next prompt", click: step(1) }, "›"));
  return { view, draw: () => { where.textContent = `prompt ${get() + 1} of ${count}`; } };
}

/** Where the numbers come from, folded away. @param {any} table @param {string} keys how to use it without a mouse */
function footnotes(table, keys) {
  const rows = Object.entries(table.provenance ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
  return h("footer", { class: "bkd-foot" },
    h("details", {},
      h("summary", {}, "Where these numbers come from, and keys"),
      h("dl", { class: "bkd-provenance" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
      h("p", {}, keys)));
}

/**
 * Slider handles and toggle buttons come without names and states for screen readers; give them theirs, and
 * keep doing it while the widget manager is still building.
 * @param {HTMLElement} el @returns {() => void}
 */
function nameControls(el) {
  const watch = new MutationObserver(() => name());
  function name() {
    const desk = el.closest(".bkd-desk");
    if (!desk) return;
    for (const handle of desk.querySelectorAll(".noUi-handle, .ui-slider-handle")) {
      const row = handle.closest(".jupyter-widgets");
      const label = row?.querySelector(".widget-label")?.textContent?.trim() || "value";
      const value = row?.querySelector(".widget-readout")?.textContent?.trim() || "";
      setOnce(handle, "aria-label", label);
      if (value) setOnce(handle, "aria-valuetext", value);
    }
    for (const button of desk.querySelectorAll(".widget-toggle-buttons button")) {
      setOnce(button, "aria-pressed", String(button.classList.contains("mod-active")));
    }
  }
  const frame = requestAnimationFrame(() => {
    const desk = el.closest(".bkd-desk");
    if (desk) watch.observe(desk.querySelector(".bkd-controls") ?? desk, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class", "aria-valuetext"] });
    name();
  });
  return () => { cancelAnimationFrame(frame); watch.disconnect(); };
}

/** @param {Element} element @param {string} attribute @param {string} value */
function setOnce(element, attribute, value) {
  if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}
