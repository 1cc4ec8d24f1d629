// Which tones are in the sound that is shown: a picture from the archive, coloured here.

import { spectrogram as askSpectrogram, Refusal } from "./api.js";
import { settled } from "./dom.js";
import { cleared } from "./gestures.js";
import { complain } from "./say.js";
import { colour, isDark } from "./theme.js";

const SETTLES_MS = 180;
/** A picture that shows less than this of what is wanted is too little to look at. */
const ENOUGH = 0.7;
/** So much of a picture is taken for the room and not for the sound. */
const BACKGROUND = 0.3;
/** Of 255, which are 120 dB: what is all alike is not made to look otherwise. */
const LEAST_RANGE = 70;

/** @type {[number, number, number][]} */
const DARK = [
  [19, 26, 27],
  [24, 62, 84],
  [30, 120, 128],
  [126, 196, 120],
  [250, 230, 120],
  [255, 252, 232],
];
/** @type {[number, number, number][]} */
const LIGHT = [
  [240, 243, 242],
  [206, 228, 226],
  [112, 178, 180],
  [34, 112, 130],
  [34, 58, 96],
  [26, 16, 52],
];

/** @typedef {{start: number, stop: number}} Frames */

/** The picture of a stretch of one recording. */
export class Spectrogram {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLElement} note where it says why there is no picture
   * @param {(context: CanvasRenderingContext2D, width: number, height: number) => void} over draws over it
   */
  constructor(canvas, note, over) {
    this.canvas = canvas;
    this.note = note;
    this.over = over;
    /** @type {import("./shapes.js").Recording | null} */
    this.recording = null;
    /** @type {ImageBitmap | null} */
    this.grey = null;
    /** @type {HTMLCanvasElement | null} */
    this.picture = null;
    /** @type {Frames} */
    this.drawn = { start: 0, stop: 1 };
    /** @type {Frames} */
    this.wanted = { start: 0, stop: 1 };
    /** What comes first: to see tones takes the archive longer. @type {Promise<unknown>} */
    this.after = Promise.resolve();
    this.asking = new AbortController();
    this.fetchSoon = settled(SETTLES_MS, () => this.fetch());
  }

  /**
   * Shows a recording's frames.
   * @param {import("./shapes.js").Recording} recording
   * @param {Frames} frames
   */
  show(recording, frames) {
    if (this.recording?.id !== recording.id) this.picture = null;
    this.recording = recording;
    this.wanted = frames;
    this.canvas.dataset.ready = "false";
    this.paint();
    this.wait();
    this.fetchSoon();
  }

  /** Says that there is something to wait for, where little is shown meanwhile. */
  wait() {
    const waits = this.covered() < ENOUGH;
    if (waits) this.note.textContent = "Looking at the tones…";
    this.note.hidden = !waits;
  }

  /** Returns how much of what is wanted the picture shows, from 0 to 1. */
  covered() {
    const { drawn, wanted } = this;
    if (!this.picture) return 0;
    const both = Math.min(drawn.stop, wanted.stop) - Math.max(drawn.start, wanted.start);
    return Math.max(0, both) / (wanted.stop - wanted.start);
  }

  async fetch() {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    await this.after;
    const { recording, wanted } = this;
    if (signal.aborted || !recording || !this.canvas.clientWidth) return;
    const size = { width: Math.min(2000, this.canvas.clientWidth), height: this.canvas.clientHeight };
    try {
      const blob = await askSpectrogram(recording.id, { ...wanted, ...size }, signal);
      this.grey = await createImageBitmap(blob);
      if (recording !== this.recording) return;
      this.drawn = wanted;
      this.note.hidden = true;
      this.colourIn();
    } catch (error) {
      if (!(error instanceof Refusal)) return complain(error);
      this.picture = null;
      this.note.textContent =
        error.status === 422 ? "Show less of the sound to see its tones." : error.message;
      this.note.hidden = false;
      this.paint();
    }
    this.canvas.dataset.ready = "true";
  }

  colourIn() {
    if (!this.grey) return;
    const { width, height } = this.grey;
    const picture = Object.assign(document.createElement("canvas"), { width, height });
    const context = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
    context.drawImage(this.grey, 0, 0);
    const pixels = context.getImageData(0, 0, width, height);
    const table = palette(isDark() ? DARK : LIGHT, range(pixels.data));
    const words = new Uint32Array(pixels.data.buffer);
    for (let index = 0; index < words.length; index += 1) {
      words[index] = table[pixels.data[4 * index] ?? 0] ?? 0;
    }
    context.putImageData(pixels, 0, 0);
    this.picture = picture;
    this.paint();
  }

  paint() {
    const { context, width, height } = cleared(this.canvas);
    if (!this.picture || !this.recording) return;
    const { start, stop } = this.wanted;
    const scale = width / (stop - start);
    const x = (this.drawn.start - start) * scale;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.picture, x, 0, (this.drawn.stop - this.drawn.start) * scale, height);
    this.nameTones(context, height, this.recording.sample_rate / 2);
    this.over(context, width, height);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} height
   * @param {number} highest in Hz
   */
  nameTones(context, height, highest) {
    const step = [500, 1000, 2000, 4000, 5000, 10000, 20000].find(
      (hertz) => (highest / hertz) * 26 <= height,
    );
    if (!step) return;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let hertz = step; hertz < highest * 0.97; hertz += step) {
      const y = height - (hertz / highest) * height;
      const text = hertz >= 1000 ? `${hertz / 1000} kHz` : `${hertz} Hz`;
      context.fillStyle = colour("--veil");
      context.fillRect(2, y - 7, context.measureText(text).width + 6, 14);
      context.fillStyle = colour("--ink");
      context.fillText(text, 5, y);
    }
  }
}

/**
 * Returns the levels between which a picture has something to show. Where nothing was heard at all says nothing
 * of the room: the same sound looks alike with a gap beside it and without.
 * @param {Uint8ClampedArray} pixels
 * @returns {[number, number]}
 */
function range(pixels) {
  const counts = new Uint32Array(256);
  for (let index = 0; index < pixels.length; index += 4) {
    const level = pixels[index] ?? 0;
    counts[level] = (counts[level] ?? 0) + 1;
  }
  const heard = pixels.length / 4 - (counts[0] ?? 0);
  counts[0] = 0;
  let below = 0;
  const quietest = counts.findIndex((count) => {
    below += count;
    return below >= BACKGROUND * heard;
  });
  const loudest = counts.findLastIndex((count) => count > 0);
  return [quietest, Math.max(loudest, quietest + LEAST_RANGE)];
}

/**
 * @param {[number, number, number][]} stops
 * @param {[number, number]} levels
 */
function palette(stops, [quietest, loudest]) {
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const share = Math.min(1, Math.max(0, (value - quietest) / (loudest - quietest)));
    const place = share * (stops.length - 1);
    const lower = stops[Math.floor(place)] ?? [0, 0, 0];
    const upper = stops[Math.ceil(place)] ?? lower;
    const [red, green, blue] = lower.map((one, index) =>
      Math.round(one + ((upper[index] ?? one) - one) * (place % 1)),
    );
    table[value] = ((255 << 24) | ((blue ?? 0) << 16) | ((green ?? 0) << 8) | (red ?? 0)) >>> 0;
  }
  return table;
}
