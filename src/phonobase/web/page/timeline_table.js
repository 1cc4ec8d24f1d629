// The timeline for those who do not see it: the same facts as a table.

import { ticks } from "./axis.js";
import { look } from "./causes.js";
import { make } from "./dom.js";
import { clock, day, lasting, parse } from "./time.js";

/** As many rows as an axis of this width has ticks. */
const ROWS_PX = 1600;

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
    make("td", {}, shareWords(heardShare(data, start, stop))),
    make("td", {}, loudest(data, start, stop)),
    make("td", {}, missing(data, start, stop)),
  );
}

/**
 * Returns the columns that lie in a stretch.
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 */
function columns(data, start, stop) {
  const from = parse(data.from);
  const step = (parse(data.to) - from) / data.columns;
  return [Math.floor((start - from) / step), Math.max(Math.ceil((stop - from) / step), 1)];
}

/**
 * Returns how much of a stretch was heard; of a column that reaches into it, its part.
 * @param {import("./shapes.js").Timeline} data
 * @param {number} start
 * @param {number} stop
 */
function heardShare(data, start, stop) {
  const from = parse(data.from);
  const step = (parse(data.to) - from) / data.columns;
  const [first = 0, behind = 0] = columns(data, start, stop);
  let heard = 0;
  for (let column = first; column < behind; column += 1) {
    const inside = Math.min(stop, from + (column + 1) * step) - Math.max(start, from + column * step);
    heard += Math.max(0, inside) * (data.heard[column] ?? 0);
  }
  return heard / (stop - start);
}

/** @param {number} share */
function shareWords(share) {
  if (share < 0.005) return "nothing";
  return share > 0.9999 ? "all" : `${Math.floor(share * 100)} %`;
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
