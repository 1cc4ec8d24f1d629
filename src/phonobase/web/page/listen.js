// Listening to what is being recorded now, across the ends of recordings.
//
// An audio element that fetches the sound itself waits for 32 KiB at a time, which are many seconds of quiet
// speech, and so falls far behind. So what comes is decoded here as soon as it is there.

import { ask } from "./api.js";
import { find } from "./dom.js";
import { Queue } from "./queue.js";
import { complain, say } from "./say.js";
import { parts } from "./stream.js";

const TRIES_AGAIN_MS = 500;
const TRIES = 20;

/**
 * @typedef {object} Open a recording that is being made
 * @property {string} id
 * @property {number} sample_rate
 */

/** Plays what a source hears. */
export class Listening {
  /** @param {(source: string) => Promise<Open | null>} open tells which recording a source is making */
  constructor(open) {
    this.open = open;
    this.button = find("listen-live", HTMLButtonElement);
    /** @type {string | null} */
    this.source = null;
    /** @type {Queue | null} */
    this.queue = null;
    this.stopping = new AbortController();
  }

  /** @param {string} source */
  async toggle(source) {
    if (this.source !== null) return this.stop();
    this.source = source;
    this.stopping = new AbortController();
    const { signal } = this.stopping;
    this.show();
    try {
      await this.goOn(source, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.stop();
      complain(error instanceof TypeError ? "The sound broke off. Listen again." : error);
    }
  }

  stop() {
    this.stopping.abort();
    this.source = null;
    this.queue?.stop();
    this.queue = null;
    this.show();
  }

  /**
   * Plays one recording after the other; the next one may begin a moment after one has ended.
   * @param {string} source
   * @param {AbortSignal} signal
   */
  async goOn(source, signal) {
    let before = "";
    for (let tries = 0; tries < TRIES && !signal.aborted; tries += 1) {
      const open = await this.open(source);
      if (signal.aborted) return;
      if (open !== null && open.id !== before) {
        tries = 0;
        before = open.id;
        await this.play(open, signal);
      } else await new Promise((resolve) => setTimeout(resolve, TRIES_AGAIN_MS));
    }
    if (signal.aborted) return;
    this.stop();
    say("Nothing is being recorded any more.");
  }

  /**
   * Plays a recording until it ends.
   * @param {Open} open
   * @param {AbortSignal} signal
   */
  async play(open, signal) {
    const queue = await this.queueFor(open.sample_rate);
    const { body } = await ask(`recordings/${open.id}/audio`, { parameters: { follow: 1 }, signal });
    if (body === null) return;
    queue.begin();
    for await (const part of parts(body)) {
      if (signal.aborted) return;
      await queue.add(part);
      if (this.button.dataset.heard !== "true") say("You hear what is being recorded now.");
      this.button.dataset.heard = "true";
    }
  }

  /**
   * Returns what plays, running: until a loudspeaker is ready some time may pass, in which sound would grow old.
   * @param {number} sampleRate
   */
  async queueFor(sampleRate) {
    if (this.queue?.context.sampleRate !== sampleRate) {
      this.queue?.stop();
      this.queue = new Queue(sampleRate);
    }
    await this.queue.context.resume();
    return this.queue;
  }

  show() {
    const on = this.source !== null;
    this.button.setAttribute("aria-pressed", String(on));
    this.button.textContent = on ? "Stop listening" : "Listen live";
    if (!on) this.button.dataset.heard = "false";
  }
}
