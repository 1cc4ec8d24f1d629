// What happens is said: in a line that screen readers read out, and that goes away by itself.

import { Refusal } from "./api.js";
import { find } from "./dom.js";

const STAYS_MS = 8000;
let timer = 0;
/** What the complaint that is shown is about. */
let topic = "";

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
 * Says what went wrong; it stays until the same is done again with success.
 * @param {unknown} error that nobody is signed in is said by what asks for it
 * @param {string} [about] what was done
 */
export function complain(error, about = "") {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof Refusal && error.status === 401) return;
  topic = about;
  const text = error instanceof Error ? error.message : String(error);
  find("alert-text", HTMLElement).textContent = text;
  find("alert", HTMLElement).hidden = false;
}

/**
 * Takes back what was complained about.
 * @param {string} [about] what was done; anything, where it is not given
 */
export function allIsWell(about) {
  if (about !== undefined && about !== topic) return;
  find("alert", HTMLElement).hidden = true;
}
