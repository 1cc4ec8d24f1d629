// Where the reader is, kept in the address: it can be copied, and back and forward work.

/**
 * @typedef {object} Place
 * @property {string | null} source
 * @property {string | null} from begin of what the timeline shows, ISO 8601
 * @property {string | null} to its end
 * @property {string | null} recording the id of the one that is open
 * @property {string | null} at where its sound is, ISO 8601
 * @property {string | null} window what the close-up shows: two moments with a slash between
 * @property {string | null} mark the marked stretch, likewise
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
  // These may stand in a fragment, and times stay readable.
  return `#${parameters.toString().replaceAll("%3A", ":").replaceAll("%2F", "/")}`;
}

/**
 * Takes a step that can be taken back; whoever takes it shows the place.
 * @param {Partial<Place>} changes
 */
export function go(changes) {
  const target = link({ ...place(), ...changes });
  if (target === location.hash) return;
  history.pushState(null, "", target);
}

/**
 * Keeps the address true to what is shown, without a step to take back.
 * @param {Partial<Place>} changes
 */
export function note(changes) {
  const target = link({ ...place(), ...changes });
  if (target !== location.hash) history.replaceState(history.state, "", target);
}

addEventListener("popstate", () => journey.dispatchEvent(new Event("moved")));
