// Keys that mean the same wherever the focus is, but not while somebody writes.

import { find } from "./dom.js";

const KEY = "phonobase-single-keys";

/**
 * Listens for keys.
 * @param {Record<string, () => void>} meanings what each key does; those of one character can be switched off
 */
export function startShortcuts(meanings) {
  const single = find("single-keys", HTMLInputElement);
  const dialog = find("help-dialog", HTMLDialogElement);
  single.checked = localStorage.getItem(KEY) !== "off";
  single.addEventListener("change", () => localStorage.setItem(KEY, single.checked ? "on" : "off"));
  find("help", HTMLButtonElement).addEventListener("click", () => dialog.showModal());
  /** @type {Record<string, () => void>} */
  const all = { ...meanings, "?": () => dialog.showModal() };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || dialog.open || writes(event)) return;
    const act = all[event.key];
    if (!act || (event.key.length === 1 && event.key !== " " && !single.checked)) return;
    event.preventDefault();
    act();
  });
}

/**
 * Returns whether a key belongs to what has the focus: a field, or a button that Space presses.
 * @param {KeyboardEvent} event
 */
function writes(event) {
  if (!(event.target instanceof HTMLElement)) return false;
  if (event.target.matches("input, textarea, select")) return event.key !== "Escape";
  return event.key === " " && event.target.matches("button, summary, a");
}
