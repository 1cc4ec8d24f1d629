// What is being heard now: every chunk that is committed, as the archive tells it.

import { address } from "./api.js";

/**
 * Tells what sources hear, chunk by chunk, until it is stopped. The browser reconnects by itself.
 * @param {string} source
 * @param {(heard: import("./shapes.js").Heard) => void} heard
 * @returns {() => void} what stops it
 */
export function hear(source, heard) {
  const stream = new EventSource(address("live", { source }));
  stream.addEventListener("message", (event) => heard(JSON.parse(event.data)));
  return () => stream.close();
}
