/*
 * What a page of the book does by itself, without a kernel and without another host.
 *
 * Figures, labs and formulas stand in the page as data. Each is drawn when the reader comes near it, and the code
 * that draws it (plotly, CircuitsVis, the widget manager, MathJax) is loaded then, once, from beside this file: who
 * opens a page and reads its beginning fetches none of it. Nothing here turns text into markup: figures are JSON,
 * text is set as text.
 */
(() => {
  "use strict";
  const here = new URL(".", document.currentScript.src).href;
  const vendor = `${here}vendor/`;
  const NEAR = "700px";
  const SIGNS = ["scroll", "wheel", "touchstart", "pointerdown", "keydown", "resize"];
  const IDLE_MS = 8000; // a reader who does nothing for so long is reading: the rest of the page can be drawn
  const PAPER = 660; // pixels between the margins of A4 and of Letter

  /** Load a script once, by its address. @param {string} url @param {Record<string, string>} [data] */
  const loading = new Map();
  function load(url, data = {}) {
    if (!loading.has(url)) {
      loading.set(url, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        for (const [name, value] of Object.entries(data)) script.setAttribute(name, value);
        script.onload = () => resolve();
        script.onerror = () => reject(new Error(`could not load ${url}`));
        script.src = url;
        document.head.append(script);
      }));
    }
    return loading.get(url);
  }

  /** Whether an element has a place on the page; in a closed fold it has none. @param {Element} element */
  const seen = (element) => element.getClientRects().length > 0;

  /** What waits for the reader, in the order of the page: element -> what ends its waiting. @type {Map<Element, () => void>} */
  const waiting = new Map();

  /** The reader's first sign of life. */
  const begun = new Promise((resolve) => SIGNS.forEach((sign) => addEventListener(sign, resolve, { passive: true, once: true })));

  /**
   * Resolve when an element is in view, or about to scroll into it once the reader does something, or its turn comes
   * while the reader reads. @param {Element} element
   */
  function near(element) {
    return new Promise((resolve) => {
      const observers = [];
      const arrived = () => { observers.forEach((observer) => observer.disconnect()); waiting.delete(element); resolve(); };
      const look = (rootMargin) => {
        const observer = new IntersectionObserver((entries) => {
          if (entries.some((entry) => entry.isIntersecting)) arrived();
        }, { rootMargin });
        observers.push(observer);
        observer.observe(element);
      };
      waiting.set(element, arrived);
      look("0px");
      begun.then(() => { if (waiting.get(element) === arrived) look(NEAR); });
    });
  }

  /**
   * Draw the rest, one thing at a time, once the reader has been still for a while: a page that is printed then
   * has all its figures, and what is scrolled to is there. Not for readers who asked their browser to save data.
   */
  function drawWhenIdle() {
    if (navigator.connection?.saveData || !waiting.size) return;
    // A slow machine that paints all the time is never idle: it is not waited for longer than for a reader.
    const idle = window.requestIdleCallback ? (job) => requestIdleCallback(job, { timeout: IDLE_MS }) : (job) => setTimeout(job, 50);
    let timer = 0;
    const next = () => {
      const visible = [...waiting.keys()].find(seen); // what is folded away has no width to be drawn in yet
      waiting.get(visible)?.();
      if (visible) timer = setTimeout(() => idle(next), 300);
      else SIGNS.forEach((sign) => removeEventListener(sign, wait));
    };
    const wait = () => { clearTimeout(timer); timer = setTimeout(() => idle(next), IDLE_MS); };
    SIGNS.forEach((sign) => addEventListener(sign, wait, { passive: true }));
    wait();
  }

  /** Say in the page, in words, that something could not be drawn. @param {Element} place @param {unknown} error */
  function failed(place, error) {
    const note = document.createElement("p");
    note.className = "bkd-failed";
    note.textContent = `This figure could not be drawn (${error instanceof Error ? error.message : error}).`;
    place.replaceChildren(note);
  }

  const root = document.documentElement;
  const property = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const dark = () => root.dataset.theme === "dark";
  let printing = false;
  const repaint = [];
  new MutationObserver(() => { if (!printing) repaint.forEach((draw) => draw()); }).observe(
    root, { attributes: true, attributeFilter: ["data-theme"] });

  /** Replace the light colors of a figure, opaque or not, by the dark ones that mean the same. @param {any} value @param {Record<string, string>} swaps */
  function swapped(value, swaps) {
    if (typeof value === "string") return value.replace(/^#[0-9a-f]{6}(?=(?:[0-9a-f]{2})?$)/i, (color) => swaps[color.toLowerCase()] ?? color);
    if (Array.isArray(value)) return value.map((item) => swapped(item, swaps));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, swapped(item, swaps)]));
    }
    return value;
  }

  /** The pairs light -> dark that theme.css lists. */
  function swaps() {
    const pairs = property("--bkd-swaps").replaceAll('"', "").split(/\s+/).filter(Boolean).map((pair) => pair.split(">"));
    return Object.fromEntries(pairs.map(([light, other]) => [light.toLowerCase(), other]));
  }

  /** Draw with plotly, or draw again: it paints before it returns, which printing relies on. @param {Element} figure @param {Element} place @param {string} text */
  function drawPlotly(figure, place, text) {
    const spec = dark() ? swapped(JSON.parse(text), swaps()) : JSON.parse(text);
    const layout = { ...spec.layout, autosize: !printing, paper_bgcolor: "rgba(0,0,0,0)" };
    delete layout.width;
    if (printing) layout.width = PAPER;
    layout.height ??= Math.max(320, figure.clientHeight);
    layout.font = { ...layout.font, color: property("--bkd-ink") || undefined };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: property("--bkd-quiet"), activecolor: property("--bkd-ink") };
    // One button, ours: plotly's own set has one that uploads the figure to its maker.
    const picture = {
      name: "picture", title: "Save as a picture (PNG)", icon: window.Plotly.Icons.camera,
      click: () => savePicture(figure, place, { data: spec.data, layout: { ...layout, ...spec.titled } }),
    };
    return window.Plotly.react(place, spec.data, layout, {
      ...spec.config, responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "", modeBarButtons: [[picture]],
    });
  }

  /** Keep a figure as a picture on paper of the page's color, with its title, called by its name. @param {HTMLElement} figure @param {Element} place @param {any} drawing */
  function savePicture(figure, place, drawing) {
    drawing.layout.paper_bgcolor = property("--bkd-paper");
    const size = { width: place.clientWidth, height: drawing.layout.height };
    return window.Plotly.downloadImage(drawing, { format: "png", scale: 2, filename: figure.dataset.file, ...size });
  }

  function drawCircuitsVis(figure, place, text) {
    const { CircuitsVis } = window;
    const component = figure.dataset.component;
    if (!Object.hasOwn(CircuitsVis, component)) throw new Error(`CircuitsVis has no ${component}`);
    CircuitsVis.render(place.id, CircuitsVis[component], JSON.parse(text));
  }

  const drawers = {
    plotly: { file: "plotly.js", name: "Plotly", draw: drawPlotly, again: true },
    circuitsvis: { file: "circuitsvis.js", name: "CircuitsVis", draw: drawCircuitsVis, again: false },
  };

  /** Draw a figure when the reader comes near. @param {HTMLElement} element */
  async function figure(element) {
    const drawer = drawers[element.dataset.kind];
    const place = element.querySelector(".bkd-drawing");
    const text = element.querySelector('script[type="application/json"]').textContent;
    const draw = () => drawer.draw(element, place, text);
    // Plotly takes a finger for a drag and keeps the page from scrolling; a tap reaches it as a mouse's.
    place.addEventListener("touchstart", (event) => event.stopPropagation(), { capture: true, passive: true });
    if (drawer.again) {
      repaint.push(() => { if (element.dataset.drawn && seen(element)) draw(); });
      addEventListener("beforeprint", () => {
        if (!window[drawer.name] || !seen(element)) return;
        draw();
        element.dataset.drawn = "true";
      });
    }
    await near(element);
    try {
      await load(vendor + drawer.file);
      await draw();
      element.dataset.drawn = "true";
    } catch (error) {
      failed(place, error);
      throw error;
    }
  }

  /** Paper is light and has its own width; the page gets back what it had. Before the figures' own listeners. */
  function printsInLight() {
    let theme;
    addEventListener("beforeprint", () => {
      printing = true;
      ({ theme } = root.dataset);
      root.dataset.theme = "light";
    });
    addEventListener("afterprint", () => {
      if (theme) root.dataset.theme = theme;
      else delete root.dataset.theme;
      requestAnimationFrame(() => { // the page has its own width again
        printing = false;
        repaint.forEach((draw) => draw());
      });
    });
  }

  /*
   * Widgets: their state is a script of its own, their code is the widget manager that Jupyter publishes. Its own
   * way of finding widgets in a page needs `eval`, which the page's policy forbids; the lines below do the same.
   */
  function widgets() {
    const file = document.querySelector('meta[name="bkd-widgets"]')?.content;
    if (!file) return;
    const views = [...document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]')];
    for (const place of new Set(views.map((view) => view.parentElement))) {
      place.classList.add("bkd-lab");
      nameSliders(place);
      lab(place, views.filter((view) => view.parentElement === place), file).catch((error) => {
        failed(place, error);
        throw error;
      });
    }
  }

  /** Draw a lab when the reader comes near. @param {HTMLElement} place @param {HTMLScriptElement[]} views @param {string} file the page's state */
  async function lab(place, views, file) {
    await near(place);
    managing ??= startManager(file);
    const { manager, models } = await managing;
    for (const view of views) await showWidget(manager, models, view);
  }

  /** The widget manager with the page's models, started for the first lab. @type {Promise<{manager: any, models: any[]}> | undefined} */
  let managing;

  /** @param {string} file */
  async function startManager(file) {
    await Promise.all([load(here + file), load(`${vendor}require.js`)]);
    const state = JSON.parse(window.bkdWidgetState);
    delete window.bkdWidgetState;
    window.requirejs.config({
      baseUrl: vendor, // "anywidget" -> vendor/anywidget.js
      paths: { "@jupyter-widgets/html-manager": `${vendor}html-manager` }, // only so that the manager finds its fonts beside itself
    });
    shimMathJax();
    await load(`${vendor}embed-amd.js`);
    const { HTMLManager } = await required("@jupyter-widgets/html-manager");
    // An unknown widget's module is looked for in vendor/ too, and not found, instead of at another host.
    const manager = new HTMLManager({ loader: required });
    return { manager, models: await manager.set_state(state) };
  }

  /** A module of the loader that Jupyter's widgets use. @param {string} name @returns {Promise<any>} */
  function required(name) {
    return new Promise((resolve, reject) => { window.requirejs([name], resolve, reject); });
  }

  /** Put one widget before the script that asks for it. @param {any} manager @param {any[]} models @param {HTMLScriptElement} view */
  async function showWidget(manager, models, view) {
    const { model_id: wanted } = JSON.parse(view.textContent);
    const model = models.find((one) => one.model_id === wanted);
    if (!model) return;
    const place = document.createElement("div");
    place.className = "widget-subarea";
    view.before(place);
    await manager.display_view(await manager.create_view(model), place);
  }

  /** Formulas: MathJax is loaded for the first that the reader comes near, and sets them all. @type {Promise<void> | undefined} */
  let setting;
  function formulas() {
    const file = document.querySelector('meta[name="bkd-math"]')?.content;
    setting ??= file && load(here + file).then(() => window.MathJax.startup.promise).then(() => {
      shimMathJax(); // the one before went with the settings that MathJax replaced
      // A formula wider than a phone scrolls; a keyboard has to reach it for that.
      for (const formula of document.querySelectorAll('mjx-container[display="true"]')) formula.tabIndex = 0;
    });
    return setting;
  }

  /** The widget manager calls MathJax 2, for every label; pages with formulas carry MathJax 3. */
  function shimMathJax() {
    const mathjax = window.MathJax;
    if (!mathjax || mathjax.Hub) return;
    mathjax.Hub = {
      Queue: ([, , element]) => {
        if (/[$]|\\\(/.test(element.textContent)) formulas()?.then(() => window.MathJax.typesetPromise([element]));
      },
    };
  }

  /** Slider handles come without a name for screen readers: give each its label's. @param {Element} place */
  function nameSliders(place) {
    const name = () => {
      for (const handle of place.querySelectorAll(".noUi-handle:not([aria-label])")) {
        const label = handle.closest(".widget-slider")?.querySelector(".widget-label")?.textContent.trim();
        handle.setAttribute("aria-label", label || "value");
      }
    };
    new MutationObserver(name).observe(place, { childList: true, subtree: true });
  }

  /** What the theme and MathJax leave for readers who use a keyboard or a screen reader. */
  function openToAll() {
    // A control with words of its own needs no other name: what is said and what is seen are then the same.
    document.querySelectorAll(".search-button-field[aria-label], .bd-article summary[aria-label]").forEach((control) => control.removeAttribute("aria-label"));
    // ARIA withdrew a role that docutils still writes.
    document.querySelectorAll('[role="doc-biblioentry"]').forEach((entry) => entry.setAttribute("role", "listitem"));
    const sidebar = document.querySelector(".bd-sidebar-primary");
    sidebar?.setAttribute("role", "complementary");
    sidebar?.setAttribute("aria-label", "The book");
  }

  /** A notebook's link leads to a folded solution: unfold it. */
  function unfoldLinked() {
    const linked = document.getElementById(location.hash.slice(1));
    if (linked instanceof HTMLDetailsElement) linked.open = true;
  }

  /** Mark in the contents what is read: the last heading above the upper third, or the last of all at the end. */
  function followReader() {
    const theirs = document.getElementById("pst-page-toc-nav");
    if (!theirs) return;
    const contents = theirs.cloneNode(true); // the theme marks the entries that it found, late and not upwards
    theirs.replaceWith(contents);
    const entries = [...contents.querySelectorAll("a[href^='#']")]
      .map((link) => ({ link, place: document.getElementById(decodeURIComponent(link.hash.slice(1))) }))
      .filter(({ place }) => place);
    let asked = false;
    const mark = () => {
      asked = false;
      const end = innerHeight + scrollY >= root.scrollHeight - 2;
      const here = end ? entries.at(-1) : entries.findLast(({ place }) => place.getBoundingClientRect().top <= innerHeight * 0.3);
      for (const { link } of entries) {
        const active = link === here?.link;
        link.classList.toggle("active", active);
        if (active) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
      for (const item of contents.querySelectorAll(".toc-entry")) item.classList.toggle("active", item.contains(here?.link ?? null));
    };
    const ask = () => { if (!asked) requestAnimationFrame(mark); asked = true; };
    addEventListener("scroll", ask, { passive: true });
    addEventListener("resize", ask);
    mark();
  }

  function start() {
    openToAll();
    unfoldLinked();
    addEventListener("hashchange", unfoldLinked);
    printsInLight();
    document.querySelectorAll(".bkd-figure").forEach((element) => figure(element));
    widgets();
    const math = [...document.querySelectorAll(".math")];
    if (math.length) Promise.race(math.map(near)).then(() => { formulas(); math.forEach((formula) => waiting.get(formula)?.()); });
    if (document.querySelector(".bkd-switch")) load(`${here}switch.js`);
    const whole = () => { followReader(); drawWhenIdle(); };
    if (document.readyState === "complete") whole();
    else addEventListener("load", whole);
  }
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
