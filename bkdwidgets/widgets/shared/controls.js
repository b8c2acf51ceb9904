/** The notebook's own sliders, menus and buttons come without names, states and order for those who do not see them: all of it is given here. */

/**
 * Name the controls of a lab, and put its name, its state and the offer of a model before them. Goes on while the
 * widget manager is still building.
 * @param {HTMLElement} el @returns {() => void}
 */
export function nameControls(el) {
  const lead = [...el.querySelectorAll(":scope > .bkd-top, :scope > .bkd-live, :scope > .bkd-live-place")];
  const watch = new MutationObserver(() => name());
  function name() {
    const desk = el.closest(".bkd-desk");
    if (!desk) return;
    const place = desk.querySelector(".bkd-lead");
    if (place && lead.some((part) => part.parentElement !== place)) place.append(...lead);
    for (const row of desk.querySelectorAll(".widget-slider")) nameSlider(row);
    for (const row of desk.querySelectorAll(".widget-toggle-buttons")) nameButtons(row);
  }
  const frame = requestAnimationFrame(() => {
    const desk = el.closest(".bkd-desk");
    if (desk) watch.observe(desk.querySelector(".bkd-controls") ?? desk, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class", "aria-valuetext", "contenteditable", "disabled"] });
    name();
  });
  return () => { cancelAnimationFrame(frame); watch.disconnect(); for (const part of lead) part.remove(); };
}

/** @param {Element} row a control's label, or whatever stands in its place */
const labelOf = (row) => row.querySelector(".widget-label")?.textContent?.trim() || "value";

/** A handle says what it moves and where it stands; one that cannot be moved is no stop on the way. @param {Element} row */
function nameSlider(row) {
  const readout = row.querySelector(".widget-readout");
  const value = readout?.textContent?.trim() ?? "";
  for (const handle of row.querySelectorAll(".noUi-handle, .ui-slider-handle")) {
    const off = Boolean(handle.closest(".noUi-target")?.hasAttribute("disabled"));
    setOnce(handle, "aria-label", labelOf(row));
    if (value) setOnce(handle, "aria-valuetext", value);
    setOnce(handle, "aria-disabled", String(off));
    setOnce(handle, "tabindex", off ? "-1" : "0");
  }
  if (!readout) return;
  // What stands beside a slider of fixed stops cannot be typed: the slider would not follow.
  if (row.classList.contains("bkd-stops")) setOnce(readout, "contenteditable", "false");
  if (readout.getAttribute("contenteditable") === "true") {
    setOnce(readout, "role", "textbox");
    setOnce(readout, "aria-label", `${labelOf(row)}, as a number`);
  } else for (const attribute of ["role", "aria-label"]) readout.removeAttribute(attribute);
}

/** Which of them is pressed, and what they are about. @param {Element} row */
function nameButtons(row) {
  const group = row.querySelector("button")?.parentElement;
  if (!group) return;
  setOnce(group, "role", "group");
  setOnce(group, "aria-label", labelOf(row));
  for (const button of group.querySelectorAll("button")) setOnce(button, "aria-pressed", String(button.classList.contains("mod-active")));
}

/** @param {Element} element @param {string} attribute @param {string} value */
export function setOnce(element, attribute, value) {
  if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}

/** What moved a control last, a key or a pointer. */
export function lastHand() {
  const hand = { key: false, close: () => { for (const [name, hear] of heard) document.removeEventListener(name, hear, true); } };
  const heard = /** @type {const} */ ([["keydown", () => { hand.key = true; }], ["pointerdown", () => { hand.key = false; }]]);
  for (const [name, hear] of heard) document.addEventListener(name, hear, true);
  return hand;
}
