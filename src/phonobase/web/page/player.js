// Playing one recording, as an audio element does it: it fetches what it plays, by ranges, and no more.

import { find } from "./dom.js";
import { complain } from "./say.js";

const SHORT_S = 1;

/** Dispatches "moved" (the position changed) and "switched" (it plays now, or no longer does). */
export class Player extends EventTarget {
  constructor() {
    super();
    this.audio = find("audio", HTMLAudioElement);
    /** Where playing ends by itself, in seconds. @type {number | null} */
    this.end = null;
    this.frame = 0;
    const audio = this.audio;
    for (const name of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) {
      audio.addEventListener(name, () => this.moved());
    }
    for (const name of ["play", "pause", "ended"]) {
      audio.addEventListener(name, () => {
        this.dispatchEvent(new Event("switched"));
        if (!audio.paused) this.watch();
      });
    }
    audio.addEventListener("error", () => {
      if (audio.hasAttribute("src")) complain("This browser cannot play the recording. Download it instead.");
    });
  }

  /**
   * Takes the sound of a recording.
   * @param {string} address
   * @param {number} at seconds from its start
   * @param {number} length in seconds
   * @param {Promise<unknown>} drawn before that, sound is fetched only for who plays it
   */
  load(address, at, length, drawn) {
    this.end = null;
    this.audio.preload = "none";
    this.audio.src = address;
    // Before its metadata is there, an element keeps where it shall begin.
    this.audio.currentTime = at;
    drawn.then(() => {
      // Of less sound Chromium cannot begin to play what it looked at before.
      if (this.audio.src === address) this.audio.preload = length < SHORT_S ? "auto" : "metadata";
    });
  }

  unload() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    this.audio.load();
  }

  /** Seconds from the start. */
  get position() {
    return this.audio.currentTime;
  }

  get playing() {
    return !this.audio.paused;
  }

  /**
   * @param {number} seconds
   */
  seek(seconds) {
    this.end = null;
    this.audio.currentTime = Math.max(0, seconds);
    this.moved();
  }

  /**
   * Plays, until an end if one is named.
   * @param {number | null} [end] seconds from the start
   */
  async play(end = null) {
    this.end = end;
    try {
      await this.audio.play();
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") {
        complain("The browser waits for you to press Play.");
      } else complain(error);
    }
  }

  pause() {
    this.audio.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  moved() {
    if (this.end !== null && this.playing && this.position >= this.end) {
      const end = this.end;
      this.pause();
      this.end = null;
      this.audio.currentTime = end;
    }
    this.dispatchEvent(new Event("moved"));
  }

  /** Follows the sound frame by frame while it plays. */
  watch() {
    cancelAnimationFrame(this.frame);
    const step = () => {
      if (!this.playing) return;
      this.moved();
      this.frame = requestAnimationFrame(step);
    };
    this.frame = requestAnimationFrame(step);
  }
}
