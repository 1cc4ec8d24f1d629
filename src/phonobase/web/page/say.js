// What happens is said: in a line that screen readers read out, and that goes away by itself.

import { find } from "./dom.js";

const STAYS_MS = 8000;
let timer = 0;

/**
 * Says what has happened.
 * @param {string} text
 */
export function say(text) {
  const line = find("status", HTMLElement);
  line.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => {
    line.textContent = "";
  }, STAYS_MS);
}

/**
 * Says what went wrong; it stays until something else is said.
 * @param {unknown} error
 */
export function complain(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  const text = error instanceof Error ? error.message : String(error);
  find("alert-text", HTMLElement).textContent = text;
  find("alert", HTMLElement).hidden = false;
}

/** Takes back what was complained about. */
export function allIsWell() {
  find("alert", HTMLElement).hidden = true;
}
