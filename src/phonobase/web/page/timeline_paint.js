// How the timeline is drawn: an axis, the level of what was heard, what is missing, and the recordings.

import { ticks } from "./axis.js";
import { fill } from "./causes.js";
import { cleared } from "./gestures.js";
import { colour } from "./theme.js";
import { parse } from "./time.js";

const AXIS_PX = 22;
const RECORDINGS_PX = 12;
const FLOOR_DBFS = -66;
/** However short it is, a gap is so wide, and what was heard so wide, so tall and so dark. */
const GAP_PX = 2;
const CALL_PX = 2;
const SHORT_PX = 8;
const PALEST = 0.5;
const HEAD_PX = 4;
/** Columns overlap, so that no seam shows where they lie between pixels. */
const SEAM_PX = 0.4;
const FONT = "12px system-ui, sans-serif";

/**
 * @typedef {object} Shown
 * @property {import("./shapes.js").Timeline | null} data
 * @property {number} cursor
 * @property {[number, number] | null} mark
 * @property {string | null} recording the id of the one that is open
 */

/**
 * Draws a time axis along the upper edge and returns the height it took.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {number} width
 * @param {number} height of the lines that go down from it
 */
export function drawAxis(context, viewport, width, height) {
  context.font = FONT;
  context.textBaseline = "middle";
  for (const { us, label, strong } of ticks(viewport.from, viewport.to, width)) {
    const x = Math.round(viewport.x(us, width)) + 0.5;
    context.strokeStyle = colour(strong ? "--soft" : "--line");
    context.beginPath();
    context.moveTo(x, strong ? 2 : AXIS_PX - 5);
    context.lineTo(x, height);
    context.stroke();
    context.fillStyle = colour(strong ? "--ink" : "--soft");
    if (x + 4 + context.measureText(label).width < width) context.fillText(label, x + 4, AXIS_PX / 2);
  }
  return AXIS_PX;
}

/**
 * Draws a marked stretch.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {[number, number] | null} mark
 * @param {number} width
 * @param {number} height
 */
export function drawMark(context, viewport, mark, width, height) {
  if (!mark) return;
  const start = viewport.x(mark[0], width);
  const stop = viewport.x(mark[1], width);
  context.fillStyle = colour("--mark-fill");
  context.fillRect(start, 0, Math.max(1, stop - start), height);
  context.fillStyle = colour("--mark");
  context.fillRect(start - 1, 0, 2, height);
  context.fillRect(stop - 1, 0, 2, height);
}

/**
 * Draws where the cursor stands.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} height
 */
export function drawCursor(context, x, height) {
  context.fillStyle = colour("--cursor");
  context.fillRect(Math.round(x) - 1, 0, 2, height);
  context.beginPath();
  context.moveTo(x - 5, 0);
  context.lineTo(x + 5, 0);
  context.lineTo(x, 7);
  context.fill();
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("./viewport.js").Viewport} viewport
 * @param {Shown} shown
 */
export function paint(canvas, viewport, { data, cursor, mark, recording }) {
  const { context, width, height } = cleared(canvas);
  const top = drawAxis(context, viewport, width, height - RECORDINGS_PX);
  const lane = { top: top + 2, height: height - top - RECORDINGS_PX - 6 };
  if (data) {
    const isNarrow = (/** @type {import("./shapes.js").Gap} */ gap) =>
      !isMerged(gap) &&
      viewport.x(parse(gap.ended_at), width) - viewport.x(parse(gap.started_at), width) < GAP_PX;
    // What was heard lies over the gaps about it. A gap too short to be seen beside it hangs over it from above.
    drawGaps(
      context,
      viewport,
      data.gaps.filter((gap) => !isNarrow(gap)),
      width,
      lane,
    );
    drawHeard(context, viewport, data, width, lane);
    drawGaps(context, viewport, data.gaps.filter(isNarrow), width, {
      top: lane.top,
      height: lane.height / 2,
    });
    drawRecordings(context, viewport, data, width, height, recording);
  }
  drawMark(context, viewport, mark, width, height);
  if (cursor >= viewport.from && cursor <= viewport.to)
    drawCursor(context, viewport.x(cursor, width), height);
}

/**
 * Whether a gap stands for several, with sound between them.
 * @param {import("./shapes.js").Gap} gap
 */
export const isMerged = (gap) => (gap.count ?? 1) > 1;

/**
 * Draws what was heard: its height is how loud it was, its strength how much of the column it lasted.
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {import("./shapes.js").Timeline} data
 * @param {number} width
 * @param {{top: number, height: number}} lane
 */
function drawHeard(context, viewport, data, width, { top, height }) {
  const from = parse(data.from);
  const step = (parse(data.to) - from) / data.columns;
  const bottom = top + height;
  const paper = colour("--heard");
  const ink = colour("--wave");
  for (let column = 0; column < data.columns; column += 1) {
    const share = data.heard[column] ?? 0;
    if (share <= 0) continue;
    const x = viewport.x(from + column * step, width);
    const wide = viewport.x(from + (column + 1) * step, width) - x;
    if (x + wide < 0 || x > width) continue;
    const isLast = !data.heard[column + 1];
    if (share === 1) context.clearRect(x, top, wide + SEAM_PX, height);
    context.globalAlpha = share;
    context.fillStyle = paper;
    context.fillRect(x, top, wide + SEAM_PX, height);
    const tall = SHORT_PX + levelShare(data.peak_dbfs[column] ?? null) * (height - HEAD_PX - SHORT_PX);
    const broad = isLast ? Math.max(wide, CALL_PX) : wide + SEAM_PX;
    context.clearRect(x, bottom - tall, broad, tall);
    context.globalAlpha = PALEST + (1 - PALEST) * share;
    context.fillStyle = ink;
    context.fillRect(x, bottom - tall, broad, tall);
  }
  context.globalAlpha = 1;
}

/**
 * Returns how much of the height a level takes.
 * @param {number | null} dbfs
 */
export const levelShare = (dbfs) =>
  dbfs === null ? 0 : Math.min(1, Math.max(0, (dbfs - FLOOR_DBFS) / -FLOOR_DBFS));

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {import("./shapes.js").Gap[]} gaps
 * @param {number} width
 * @param {{top: number, height: number}} lane
 */
function drawGaps(context, viewport, gaps, width, { top, height }) {
  /** @type {Map<string, CanvasPattern | string>} */
  const fills = new Map();
  for (const { cause, started_at, ended_at } of gaps) {
    const start = viewport.x(parse(started_at), width);
    const stop = Math.max(start + GAP_PX, viewport.x(parse(ended_at), width));
    if (stop < 0 || start > width) continue;
    const style = fills.get(cause) ?? fill(context, cause);
    fills.set(cause, style);
    context.clearRect(start, top, stop - start, height);
    context.fillStyle = style;
    context.fillRect(start, top, stop - start, height);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./viewport.js").Viewport} viewport
 * @param {import("./shapes.js").Timeline} data
 * @param {number} width
 * @param {number} height
 * @param {string | null} open
 */
function drawRecordings(context, viewport, data, width, height, open) {
  const top = height - RECORDINGS_PX;
  for (const { id, started_at, ended_at, state } of data.recordings) {
    const start = viewport.x(parse(started_at), width);
    const stop = viewport.x(parse(ended_at), width);
    if (stop < 0 || start > width) continue;
    const chosen = id === open;
    context.fillStyle = colour(chosen ? "--accent" : state === "recording" ? "--live" : "--soft");
    context.globalAlpha = chosen ? 1 : 0.55;
    context.beginPath();
    context.roundRect(start + 0.5, top + 3, Math.max(1.5, stop - start - 1), RECORDINGS_PX - 6, 3);
    context.fill();
    context.globalAlpha = 1;
  }
}
