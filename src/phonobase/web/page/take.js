// Taking sound along: a file that is made on asking, or the reason why there is none.

import { fetchFile } from "./api.js";
import { make } from "./dom.js";
import { say } from "./say.js";
import { HOUR } from "./time.js";

const FREED_MS = 60_000;

/**
 * Loads a file. A browser does not tell the page what becomes of a load of its own, so the page does it
 * itself where the file is not too large to be kept for a moment.
 * @param {string} href
 * @param {number} us how long the sound is
 */
export async function takeAlong(href, us) {
  if (us > HOUR) {
    save(href, "");
    say("The browser loads it.");
    return;
  }
  say("The stretch is being cut…");
  const { name, blob } = await fetchFile(href);
  const url = URL.createObjectURL(blob);
  save(url, name);
  setTimeout(() => URL.revokeObjectURL(url), FREED_MS);
  say(`${name} is downloaded.`);
}

/**
 * @param {string} href
 * @param {string} name empty: as whoever serves it names it
 */
function save(href, name) {
  make("a", { href, download: name }).click();
}
