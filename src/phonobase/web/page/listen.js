// Listening to what is being recorded now, across the ends of recordings.

import { audioAddress } from "./api.js";
import { find } from "./dom.js";
import { complain, say } from "./say.js";

const TRIES_AGAIN_MS = 500;

/** Plays what a source hears. */
export class Listening {
  /** @param {(source: string) => Promise<string | null>} open tells which recording a source is making */
  constructor(open) {
    this.open = open;
    this.audio = find("live-audio", HTMLAudioElement);
    this.button = find("listen-live", HTMLButtonElement);
    /** @type {string | null} */
    this.source = null;
    this.timer = 0;
    for (const name of ["ended", "error"]) this.audio.addEventListener(name, () => this.goOn());
    this.audio.addEventListener("playing", () => say("You hear what is being recorded now."));
  }

  /** @param {string} source */
  async toggle(source) {
    if (this.source !== null) return this.stop();
    this.source = source;
    this.show();
    await this.play();
  }

  stop() {
    clearTimeout(this.timer);
    this.source = null;
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
    this.show();
  }

  async play() {
    if (this.source === null) return;
    try {
      const id = await this.open(this.source);
      if (this.source === null) return;
      if (id === null) {
        this.stop();
        say("Nothing is being recorded any more.");
        return;
      }
      this.audio.src = audioAddress(id, { follow: 1, from: Date.now() });
      await this.audio.play();
    } catch (error) {
      if (this.source === null) return;
      this.stop();
      complain(error);
    }
  }

  /** A recording has ended; the next one may begin at once. */
  goOn() {
    if (this.source === null || !this.audio.hasAttribute("src")) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.play(), TRIES_AGAIN_MS);
  }

  show() {
    this.button.setAttribute("aria-pressed", String(this.source !== null));
    this.button.textContent = this.source === null ? "Listen live" : "Stop listening";
  }
}
