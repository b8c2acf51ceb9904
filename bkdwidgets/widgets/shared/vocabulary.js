/** Shared with bkdwidgets/core; written by: python -m bkdwidgets.widgets.bundling */

export const OUTCOMES = {"P": {"word": "payload", "color": "payload"}, "p": {"word": "payload-like", "color": "payload-like"}, "=": {"word": "as before", "color": "as-before"}, "?": {"word": "broken", "color": "broken"}};
export const LABELS = ["World", "Sports", "Business", "Sci/Tech"];
export const INK = {"clean": "#005A8C", "triggered": "#8F3F6B"};
