/*
 * What the search page says of a hit. Sphinx shows a page's text with its formulas as TeX and leads to the page's
 * top; here formulas are left as their letters, and a hit leads to the section that has most of the words.
 */
(() => {
  "use strict";
  const AROUND = 120; // letters on each side of the first word that was found
  const UNREAD = "script, style, .headerlink, .bkd-bar, .bkd-figure, div.math, .cell_input, #jb-print-docs-body, .prev-next-area";

  /** A page's text as elements, without what nobody reads in a line of text. @param {string} text */
  function article(text) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const found = page.querySelector("article.bd-article") ?? page.body;
    found.querySelectorAll(UNREAD).forEach((one) => one.remove());
    for (const formula of found.querySelectorAll("span.math"))
      formula.textContent = formula.textContent.replace(/\\[a-zA-Z]+\s?|\\.|[{}]/g, "");
    return found;
  }

  /** The text of a section without the sections in it. @param {Element} section */
  const own = (section) => [...section.children].filter((child) => child.localName !== "section").map((child) => child.textContent).join(" ").replace(/\s+/g, " ").trim();

  Search.makeSearchSummary = (text, keywords, anchor) => {
    const page = article(text);
    const words = [...keywords].map((word) => word.toLowerCase());
    const term = anchor ? page.querySelector(anchor) : null; // of the glossary or of the reference: it and what is said of it
    let best = { text: term ? `${term.textContent} ${term.nextElementSibling?.textContent ?? ""}`.replace(/\s+/g, " ").trim() : own(page), id: "", found: 0 };
    for (const section of term ? [] : page.querySelectorAll("section[id]")) {
      const text = own(section);
      const found = words.filter((word) => text.toLowerCase().includes(word)).length;
      if (found > best.found) best = { text, id: section.id, found };
    }
    const places = words.map((word) => best.text.toLowerCase().indexOf(word)).filter((place) => place >= 0);
    const start = Math.max(0, Math.min(...places, best.text.length) - AROUND);
    const summary = document.createElement("p");
    summary.className = "context";
    const cut = best.text.slice(start, start + 2 * AROUND).replace(start + 2 * AROUND < best.text.length ? /\s\S*$/ : /$^/, ""); // whole words
    summary.textContent = `${start ? "… " : ""}${cut.trim()}${start + cut.length < best.text.length ? " …" : ""}`;
    queueMicrotask(() => { // Sphinx puts it below the link now
      const link = summary.parentElement?.querySelector("a");
      if (link && best.id && !link.hash) link.hash = best.id;
    });
    return summary;
  };
})();
