/*
 * Sweep a page, which stands in the frame of an empty one, over window widths, and say at which of them it is
 * wider than its window, or something to read or to press lies on something else. A lab's answer in short does so on
 * purpose, where it goes along with what is used.
 *
 * One call lays the page out once a width and paints nothing, so that fifty widths take about two seconds.
 */
(widths) => {
  const frame = document.querySelector("iframe");
  const page = frame.contentDocument;
  const PARTS = ".bd-header-article, .bd-article, .prev-next-area, footer, .bd-sidebar-primary, .bd-sidebar-secondary";
  const SKIPPED = "script, style, noscript, svg, mjx-container, .bkd-hidden, .bkd-glance, .visually-hidden, .js-plotly-plot, dialog, .copybtn, .headerlink, .bkd-drawing, details:not([open]) > :not(summary)";
  const CONTROLS = "button, select, input, textarea, .noUi-target";
  const BLOCKS = "p, pre, dt, h1, h2, h3, h4, figcaption"; // lines of one block cannot lie on each other
  const CLOSE = "table, .citation, .bkd-desk, .bd-header-article"; // here each word is looked at
  const SLACK = 4; // pixels: letters of two tight lines share as many
  const range = page.createRange();

  /** The boxes of what is read or pressed below a node. */
  function boxes(node, closely, found = []) {
    for (const child of node.childNodes) {
      const text = child.nodeType === 3;
      if (text ? !child.data.trim() : child.nodeType !== 1 || child.matches(SKIPPED)) continue;
      if (!text && child.matches("thead") && child.offsetWidth <= 1) continue; // on a phone, cells say it themselves
      if (text) range.selectNodeContents(child);
      if (text || child.matches(CONTROLS) || (!closely && child.matches(BLOCKS))) {
        for (const { left, right, top, bottom } of (text ? range : child).getClientRects())
          if (right - left > 1 && bottom - top > 1) found.push({ owner: text ? node : child, left, right, top, bottom });
      } else boxes(child, closely || child.matches(CLOSE), found);
    }
    return found;
  }

  const named = (one) => `${one.tagName.toLowerCase()}.${[...one.classList].join(".")} ${JSON.stringify(one.textContent.trim().slice(0, 40))}`;

  /** What lies on what. */
  function overlaps(found) {
    const said = [];
    found.sort((a, b) => a.top - b.top).forEach((a, i) => {
      for (let j = i + 1; j < found.length && found[j].top < a.bottom - SLACK; j++) {
        const b = found[j];
        const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const down = Math.min(a.bottom, b.bottom) - b.top;
        if (across > SLACK && down > SLACK && !a.owner.contains(b.owner) && !b.owner.contains(a.owner))
          said.push(`${named(a.owner)} lies on ${named(b.owner)} by ${across.toFixed()} x ${down.toFixed()} px`);
      }
    });
    return said;
  }

  const said = {};
  for (const width of widths) {
    frame.style.width = `${width}px`;
    const root = page.documentElement;
    const wide = root.scrollWidth - root.clientWidth;
    const here = [...page.querySelectorAll(PARTS)].flatMap((part) => overlaps(boxes(part, part.matches(CLOSE))));
    if (wide > 0) here.unshift(`${wide} px too wide`);
    if (here.length) said[width] = here.slice(0, 3);
  }
  return said;
}
