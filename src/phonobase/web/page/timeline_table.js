// The timeline for those who do not see it: the same facts as a table.

import { ticks } from "./axis.js";
import { look } from "./causes.js";
import { make } from "./dom.js";
import { clock, day, lasting, parse, SECOND } from "./time.js";
import { isMerged } from "./timeline_paint.js";

/** As many rows as an axis of this width has ticks. */
const ROWS_PX = 1600;
/** Sums of shares are exact to less than this. */
const EXACT_US = 1000;

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
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, button),
    make("td", {}, lasting(stop - start)),
    make("td", {}, heardWords(heardUs(data, start, stop), stop - start)),
    make("td", {}, loudest(data, start, stop)),
    make("td", {}, missing(data, start, stop)),
  );
}

/**
 * Returns the columns that lie in a stretch, and how much of each.
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 */
function inside(data, start, stop) {
  const from = parse(data.from);
  const step = (parse(data.to) - from) / data.columns;
  const found = [];
  for (let column = Math.max(0, Math.floor((start - from) / step)); column < data.columns; column += 1) {
    const us = Math.min(stop, from + (column + 1) * step) - Math.max(start, from + column * step);
    if (us >= 1) found.push({ column, us });
    else if (from + column * step >= stop) break;
  }
  return found;
}

/**
 * Returns how much of a stretch was heard; of a column that reaches into it, its part.
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 */
const heardUs = (data, start, stop) =>
  inside(data, start, stop).reduce((sum, { column, us }) => sum + us * (data.heard[column] ?? 0), 0);

/**
 * Says how much of a stretch was heard: only what is exactly nothing is "nothing", only what is whole is "all".
 * @param {number} heard
 * @param {number} length
 */
function heardWords(heard, length) {
  if (heard === 0) return "nothing";
  if (length - heard < EXACT_US) return "all";
  const percent = Math.floor((100 * heard) / length);
  if (percent > 0) return `${percent} %`;
  return heard < SECOND ? "under a second" : lasting(Math.round(heard / SECOND) * SECOND);
}

/** @type {(data: import("./shapes.js").Timeline, start: number, stop: number) => string} */
function loudest(data, start, stop) {
  const levels = inside(data, start, stop)
    .map(({ column }) => data.peak_dbfs[column] ?? null)
    .filter((level) => level !== null);
  return levels.length ? `${Math.round(Math.max(...levels))} dB` : "–";
}

/** @type {(data: import("./shapes.js").Timeline, start: number, stop: number) => string} */
function missing(data, start, stop) {
  /** @type {Map<string, number>} */
  const lost = new Map();
  for (const gap of data.gaps) {
    const begin = Math.max(parse(gap.started_at), start);
    const end = Math.min(parse(gap.ended_at), stop);
    if (end <= begin) continue;
    // What stands for several gaps holds what was heard between them.
    const us = end - begin - (isMerged(gap) ? heardUs(data, begin, end) : 0);
    if (us > 0) lost.set(gap.cause, (lost.get(gap.cause) ?? 0) + us);
  }
  return [...lost].map(([cause, us]) => `${look(cause).words}: ${lasting(us)}`).join("; ") || "–";
}
