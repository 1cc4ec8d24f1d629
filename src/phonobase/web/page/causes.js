// Why sound is missing: in words, and as a colour and a pattern of its own.

import { colour } from "./theme.js";

const TILE = 8;

/** @typedef {"rising" | "falling" | "upright" | "level" | "grid" | "dots" | "cross"} Pattern */

/**
 * @typedef {object} Look
 * @property {string} words
 * @property {string} paint the name of a colour
 * @property {Pattern} pattern
 */

/** @type {Record<string, Look>} */
const LOOKS = {
  paused: { words: "Paused", paint: "--gap-blue", pattern: "upright" },
  quiet: { words: "Too quiet to record", paint: "--gap-teal", pattern: "dots" },
  deleted: { words: "Deleted", paint: "--gap-grey", pattern: "cross" },
  "process-down": { words: "Recorder not running", paint: "--gap-violet", pattern: "rising" },
  "device-lost": { words: "Microphone or device gone", paint: "--gap-brown", pattern: "level" },
  stalled: { words: "Device gave no sound", paint: "--gap-brown", pattern: "falling" },
  overflow: { words: "Lost: computer too slow", paint: "--gap-red", pattern: "falling" },
  invalid: { words: "Unusable sound", paint: "--gap-red", pattern: "cross" },
  "disk-full": { words: "Disk full", paint: "--gap-red", pattern: "grid" },
  "database-down": { words: "Storage did not work", paint: "--gap-red", pattern: "upright" },
  "clock-step": { words: "Clock was set", paint: "--gap-grey", pattern: "upright" },
  "clock-drift": { words: "Clock ran slow", paint: "--gap-grey", pattern: "dots" },
  unrecorded: { words: "Not recorded", paint: "--gap-none", pattern: "dots" },
};

/**
 * Returns how a cause is shown; one that a host made up goes by its own name.
 * @param {string} cause
 * @returns {Look}
 */
export const look = (cause) => LOOKS[cause] ?? { words: cause, paint: "--gap-violet", pattern: "grid" };

/**
 * Returns what fills the place of a gap.
 * @param {CanvasRenderingContext2D} context
 * @param {string} cause
 */
export function fill(context, cause) {
  const { paint, pattern } = look(cause);
  const found = context.createPattern(tile(colour(paint), pattern), "repeat");
  return found ?? colour(paint);
}

/**
 * Returns a small picture of a cause, for a legend.
 * @param {string} cause
 */
export function swatch(cause) {
  const canvas = document.createElement("canvas");
  canvas.width = 3 * TILE;
  canvas.height = 2 * TILE;
  canvas.className = "swatch";
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d");
  if (context) {
    context.fillStyle = fill(context, cause);
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  return canvas;
}

/**
 * @param {string} paint
 * @param {Pattern} pattern
 */
function tile(paint, pattern) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = TILE;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = context.strokeStyle = paint;
  context.globalAlpha = pattern === "dots" ? 0.1 : 0.22;
  context.fillRect(0, 0, TILE, TILE);
  context.globalAlpha = 1;
  context.lineWidth = 1.6;
  context.beginPath();
  for (const [x0, y0, x1, y1] of STROKES[pattern]) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.stroke();
  if (pattern === "dots") {
    for (const [x, y] of [
      [2, 2],
      [6, 6],
    ]) {
      context.beginPath();
      context.arc(/** @type {number} */ (x), /** @type {number} */ (y), 1.1, 0, 7);
      context.fill();
    }
  }
  return canvas;
}

/** @typedef {[number, number, number, number]} Stroke */
/** @type {Stroke[]} */
const RISING = [
  [-2, 10, 10, -2],
  [-2, 2, 2, -2],
  [6, 10, 10, 6],
];
/** @type {Stroke[]} */
const FALLING = [
  [-2, -2, 10, 10],
  [6, -2, 10, 2],
  [-2, 6, 2, 10],
];
/** @type {Stroke[]} */
const UPRIGHT = [[4, 0, 4, 8]];
/** @type {Stroke[]} */
const LEVEL = [[0, 4, 8, 4]];

/** @type {Record<Pattern, Stroke[]>} */
const STROKES = {
  rising: RISING,
  falling: FALLING,
  upright: UPRIGHT,
  level: LEVEL,
  grid: [...UPRIGHT, ...LEVEL],
  cross: [...RISING, ...FALLING],
  dots: [],
};
