// How the close-up is drawn: an axis, a lane for each channel, what is missing, the mark and the cursor.

import { fill } from "./causes.js";
import { cleared } from "./gestures.js";
import { colour } from "./theme.js";
import { parse, SECOND } from "./time.js";
import { drawAxis, drawCursor, drawMark } from "./timeline_paint.js";

/**
 * @typedef {object} Close
 * @property {import("./shapes.js").Peaks | null} peaks
 * @property {import("./shapes.js").Gap[]} gaps
 * @property {[number, number] | null} mark
 * @property {number} scale how much taller than true
 * @property {number} start where the recording begins, in microseconds
 * @property {number} cursor
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./viewport.js").Viewport} viewport
 * @param {Close} close
 */
export function paintWave(canvas, viewport, { peaks, gaps, mark, scale, start, cursor }) {
  const { context, width, height } = cleared(canvas);
  const top = drawAxis(context, viewport, width, height);
  for (const { cause, started_at, ended_at } of gaps) {
    const from = viewport.x(parse(started_at), width);
    const to = Math.max(from + 2, viewport.x(parse(ended_at), width));
    if (to < 0 || from > width) continue;
    context.fillStyle = fill(context, cause);
    context.fillRect(from, top, to - from, height - top);
  }
  if (peaks) {
    const lane = (height - top) / peaks.peaks.length;
    peaks.peaks.forEach((channel, index) => {
      const box = { top: top + index * lane, height: lane, width };
      drawChannel(context, viewport, peaks, channel, start, scale, box);
    });
  }
  drawMark(context, viewport, mark, width, height);
  drawCursor(context, viewport.x(cursor, width), height);
}

/**
 * Draws over another picture of the same stretch what both show.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {{mark: [number, number] | null, cursor: number}} close
 * @param {number} width
 * @param {number} height
 */
export function drawOver(context, viewport, { mark, cursor }, width, height) {
  drawMark(context, viewport, mark, width, height);
  context.fillStyle = colour("--cursor");
  context.fillRect(Math.round(viewport.x(cursor, width)) - 1, 0, 2, height);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {import("./shapes.js").Peaks} peaks
 * @param {number[]} channel
 * @param {number} start
 * @param {number} scale
 * @param {{top: number, width: number, height: number}} box
 */
function drawChannel(context, viewport, peaks, channel, start, scale, { top, width, height }) {
  const columns = channel.length / 2;
  const middle = top + height / 2;
  const half = height / 2 - 3;
  const moment = (/** @type {number} */ frame) => start + (frame / peaks.sample_rate) * SECOND;
  const first = viewport.x(moment(peaks.start), width);
  const step = (viewport.x(moment(peaks.stop), width) - first) / columns;
  context.fillStyle = colour("--line");
  context.fillRect(0, middle - 0.5, width, 1);
  context.fillStyle = colour("--wave");
  context.beginPath();
  for (let column = 0; column < columns; column += 1) {
    const x = first + column * step;
    if (x + step < 0 || x > width) continue;
    const low = Math.max(-1, (channel[2 * column] ?? 0) * scale);
    const high = Math.min(1, (channel[2 * column + 1] ?? 0) * scale);
    const upper = middle - high * half;
    context.rect(x, upper, Math.max(step, 0.8), Math.max(1, (high - low) * half));
  }
  context.fill();
}
