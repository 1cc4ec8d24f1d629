// Where the reader is, kept in the address: it can be copied, and back and forward work.

/**
 * @typedef {object} Place
 * @property {string | null} source
 * @property {string | null} from begin of what the timeline shows, ISO 8601
 * @property {string | null} to its end
 * @property {string | null} recording the id of the one that is open
 * @property {string | null} at seconds from its start
 * @property {string | null} window seconds from its start, as "12-34.5"
 * @property {string | null} mark seconds from its start, as "12-34.5"
 * @property {string | null} find the conditions of the search, as a query
 */

/** @type {(keyof Place)[]} */
const NAMES = ["source", "from", "to", "recording", "at", "window", "mark", "find"];

/** Dispatches "moved" when the reader goes back or forward, or follows a link inside the page. */
export const journey = new EventTarget();

/** @returns {Place} */
export function place() {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const found = NAMES.map((name) => [name, parameters.get(name)]);
  return Object.fromEntries(found);
}

/**
 * Returns a place as the end of an address.
 * @param {Partial<Place>} wanted
 */
export function link(wanted) {
  const parameters = new URLSearchParams();
  for (const name of NAMES) {
    const value = wanted[name];
    if (value !== null && value !== undefined && value !== "") parameters.set(name, value);
  }
  // Colons and commas may stand in a fragment, and times stay readable.
  return `#${parameters.toString().replaceAll("%3A", ":").replaceAll("%2C", ",")}`;
}

/**
 * Goes to a place, as a step that can be taken back.
 * @param {Partial<Place>} changes
 */
export function go(changes) {
  const target = link({ ...place(), ...changes });
  if (target === location.hash) return;
  history.pushState(null, "", target);
  journey.dispatchEvent(new Event("moved"));
}

/**
 * Keeps the address true to what is shown, without a step to take back.
 * @param {Partial<Place>} changes
 */
export function note(changes) {
  const target = link({ ...place(), ...changes });
  if (target !== location.hash) history.replaceState(history.state, "", target);
}

/**
 * Returns the two numbers of a text like "12-34.5"; null where it has none, or they are in the wrong order.
 * @param {string | null} text
 * @returns {[number, number] | null}
 */
export function span(text) {
  const parts = (text ?? "").split("-").map(Number);
  const [start = Number.NaN, stop = Number.NaN] = parts;
  return parts.length === 2 && stop > start ? [start, stop] : null;
}

addEventListener("popstate", () => journey.dispatchEvent(new Event("moved")));
