// How much of a marked stretch is there: asked for once, before anybody loads it.

import { coverage } from "./api.js";
import { look } from "./causes.js";
import { settled } from "./dom.js";
import { complain } from "./say.js";
import { iso, lasting, now } from "./time.js";

const SETTLES_MS = 200;
/** Shorter than any frame matters to anybody: what rounding to frames leaves at the ends. */
const LEAST_US = 1000;

/** Dispatches "known" once it is known what became of the stretch. */
export class Reach extends EventTarget {
  constructor() {
    super();
    /** @type {string | null} */
    this.source = null;
    /** @type {[number, number] | null} */
    this.mark = null;
    /** @type {import("./shapes.js").Coverage | null} */
    this.found = null;
    /** Settles once what is known is about the stretch; null without one. @type {Promise<void> | null} */
    this.asked = null;
    this.asking = new AbortController();
    this.answered = () => {};
    this.askSoon = settled(SETTLES_MS, () => this.ask());
  }

  /** Whether all of it lies in the future. */
  get isToCome() {
    return this.mark !== null && this.mark[0] >= now();
  }

  /**
   * Asks about a stretch, unless that was done.
   * @param {string | null} source
   * @param {[number, number] | null} mark
   */
  about(source, mark) {
    if (source === this.source && String(mark) === String(this.mark)) return;
    this.asking.abort();
    this.asking = new AbortController();
    this.answered();
    this.source = source;
    this.mark = mark;
    this.found = null;
    this.asked = null;
    if (source === null || mark === null || this.isToCome) return;
    this.asked = new Promise((resolve) => {
      this.answered = resolve;
    });
    this.askSoon();
  }

  async ask() {
    const { source, mark, answered } = this;
    const { signal } = this.asking;
    if (source === null || mark === null || this.isToCome) return;
    try {
      const found = await coverage({ source, from: iso(mark[0]), to: iso(mark[1]) }, signal);
      if (signal.aborted) return;
      this.found = found;
      this.dispatchEvent(new Event("known"));
    } catch (error) {
      complain(error);
    }
    answered();
  }

  /** What is missing of it, for each cause, the longest first. */
  get lost() {
    return Object.entries(this.found?.lost_us ?? {})
      .filter(([, us]) => us >= LEAST_US)
      .sort(([, one], [, other]) => other - one);
  }
}

/**
 * Says what is missing, and why; nothing where all is there, or it is not known yet.
 * @param {Reach} reach
 */
export function missingWords(reach) {
  const { lost } = reach;
  if (lost.length === 0) return "";
  const all = lost.reduce((sum, [, us]) => sum + us, 0);
  const why = lost.map(([cause, us]) => `${lasting(us)} ${look(cause).words.toLowerCase()}`).join(", ");
  return `${lasting(all)} of it missing: ${why}.`;
}

/**
 * Says why a stretch cannot be loaded; nothing where it can, as far as is known.
 * @param {Reach} reach
 * @param {string} gaps what shall become of what is missing
 */
export function whyNot(reach, gaps) {
  if (reach.isToCome) return "This stretch is still to come.";
  if (!reach.found) return "";
  if (reach.found.heard_us === 0)
    return "Nothing was heard in this stretch, so there is nothing to download.";
  if (gaps === "error" && reach.lost.length > 0)
    return "Sound is missing, and that is to be refused: choose silence or several files to download it.";
  return "";
}
