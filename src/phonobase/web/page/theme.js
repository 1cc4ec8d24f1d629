// Light and dark: as the system has it, unless the reader chose.

import { find } from "./dom.js";

const KEY = "phonobase-colours";

/** Dispatches "changed" when what is drawn must be drawn in other colours. */
export const colours = new EventTarget();

/**
 * Returns a colour of the style sheet as it is now.
 * @param {string} name as "--wave"
 */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Whether what is shown now is dark. */
export const isDark = () => colour("--is-dark") === "1";

/** Reads what was chosen, and lets the reader choose. */
export function startTheme() {
  const choice = find("theme", HTMLSelectElement);
  choice.value = localStorage.getItem(KEY) ?? "system";
  if (!choice.value) choice.value = "system";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const { value } = choice;
    document.documentElement.dataset.theme = value === "system" ? (system.matches ? "dark" : "light") : value;
    colours.dispatchEvent(new Event("changed"));
  };
  choice.addEventListener("change", () => {
    localStorage.setItem(KEY, choice.value);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
