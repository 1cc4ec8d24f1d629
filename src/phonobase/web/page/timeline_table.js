// The timeline for those who do not see it: the same facts as a table.

import { ticks } from "./axis.js";
import { look } from "./causes.js";
import { make } from "./dom.js";
import { clock, day, lasting, parse } from "./time.js";

const ROWS_PX = 1600;
/** As many rows as an axis of this width has ticks. */

/**
 * Fills a table with what became of each part of a stretch.
 * @param {HTMLTableElement} table
 * @param {import("./shapes.js").Timeline} data
 * @param {(moment: number) => void} play
 */
export function fillTable(table, data, play) {
  const from = parse(data.from);
  const to = parse(data.to);
  const inner = ticks(from, to, ROWS_PX)
    .map((tick) => tick.us)
    .filter((us) => us > from && us < to);
  const bounds = [from, ...inner, to];
  const rows = bounds.slice(0, -1).map((start, index) => row(data, start, bounds[index + 1] ?? to, play));
  const body = table.tBodies[0] ?? table.createTBody();
  body.replaceChildren(...rows);
}

/**
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 * @param {(moment: number) => void} play
 */
function row(data, start, stop, play) {
  const button = make("button", { type: "button", class: "plain" }, `${day(start)} ${clock(start)}`);
  button.addEventListener("click", () => play(start));
  const share = heardShare(data, start, stop);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, button),
    make("td", {}, lasting(stop - start)),
    make("td", {}, share === 0 ? "nothing" : share > 0.9995 ? "all" : `${(share * 100).toFixed(1)} %`),
    make("td", {}, loudest(data, start, stop)),
    make("td", {}, missing(data, start, stop)),
  );
}

/**
 * Yields the columns that lie in a stretch.
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 */
function columns(data, start, stop) {
  const from = parse(data.from);
  const step = (parse(data.to) - from) / data.columns;
  return [Math.floor((start - from) / step), Math.max(Math.ceil((stop - from) / step), 1)];
}

/** @type {(data: import("./shapes.js").Timeline, start: number, stop: number) => number} */
function heardShare(data, start, stop) {
  const part = data.heard.slice(...columns(data, start, stop));
  return part.reduce((sum, share) => sum + share, 0) / Math.max(1, part.length);
}

/** @type {(data: import("./shapes.js").Timeline, start: number, stop: number) => string} */
function loudest(data, start, stop) {
  const levels = data.peak_dbfs.slice(...columns(data, start, stop)).filter((level) => level !== null);
  return levels.length ? `${Math.round(Math.max(...levels))} dB` : "–";
}

/** @type {(data: import("./shapes.js").Timeline, start: number, stop: number) => string} */
function missing(data, start, stop) {
  /** @type {Map<string, number>} */
  const lost = new Map();
  for (const gap of data.gaps) {
    const inside = Math.min(parse(gap.ended_at), stop) - Math.max(parse(gap.started_at), start);
    if (inside > 0) lost.set(gap.cause, (lost.get(gap.cause) ?? 0) + inside);
  }
  return [...lost].map(([cause, us]) => `${look(cause).words}: ${lasting(us)}`).join("; ") || "–";
}
