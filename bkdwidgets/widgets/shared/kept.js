/**
 * What a reader did, kept in this tab so that a reload or the way back does not lose it; it is gone when the tab is
 * closed. Where a browser allows no storage nothing is kept, and everything else works.
 */

/** @param {string} name @returns {any} what was kept, or null */
export function readKept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`bkd:${location.pathname}:${name}`) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} name @param {any} value plain; null forgets */
export function keep(name, value) {
  const key = `bkd:${location.pathname}:${name}`;
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(value));
  } catch { /* no storage here, or it is full */ }
}
