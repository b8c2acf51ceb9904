/*
 * Runs before the first paint: choose light or dark as the reader did, else as the system does, so that a page
 * never flashes in the other. The theme's own script takes over once the page is there.
 */
(() => {
  "use strict";
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const mode = stored("mode") || "auto";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.dataset.mode = mode;
  document.documentElement.dataset.theme = mode === "auto" ? system : mode;
})();
