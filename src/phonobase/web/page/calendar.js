// The stretches that a calendar names: days, weeks from Monday, months and years, as the reader's clock has them.

import { asDate, DAY, YEAR } from "./time.js";

export const WEEK = 7 * DAY;
export const MONTH = 31 * DAY;

/** A stretch may be so much longer or shorter than a span and still be taken for it: a February, a day of 23 hours. */
const NEAR = 0.12;
const MONDAY = 1;

/** @typedef {[year: number, month: number, day: number]} Parts */

/**
 * Where the unit begins that a date lies in, or one so many units later.
 * @type {Map<number, (parts: Parts, weekday: number, later: number) => Parts>}
 */
const BEGINS = new Map([
  [YEAR, ([year], _, later) => [year + later, 0, 1]],
  [MONTH, ([year, month], _, later) => [year, month + later, 1]],
  [
    WEEK,
    ([year, month, day], weekday, later) => [year, month, day - ((weekday + 7 - MONDAY) % 7) + 7 * later],
  ],
  [DAY, ([year, month, day], _, later) => [year, month, day + later]],
]);

/**
 * Returns where the unit begins and ends that a moment lies in, or one so many units later.
 * @param {number} length of the unit: DAY, WEEK, MONTH or YEAR
 * @param {number} us
 * @param {number} [later] below 0: earlier
 * @returns {[number, number] | null} nothing where the calendar has no such unit
 */
export function unitAt(length, us, later = 0) {
  const begins = BEGINS.get(length);
  if (!begins) return null;
  const date = asDate(us);
  const parts = /** @type {Parts} */ ([date.getFullYear(), date.getMonth(), date.getDate()]);
  const start = (/** @type {number} */ count) =>
    new Date(...begins(parts, date.getDay(), count)).getTime() * 1000;
  return [start(later), start(later + 1)];
}

/**
 * Returns the unit next to the one that a stretch shows.
 * @param {number} from
 * @param {number} to
 * @param {1 | -1} direction
 * @returns {[number, number] | null} nothing where the stretch is as long as no unit
 */
export function unitBeside(from, to, direction) {
  const length = [...BEGINS.keys()].find((each) => isAbout(to - from, each));
  return length === undefined ? null : unitAt(length, (from + to) / 2, direction);
}

/**
 * Whether a stretch is as long as a span, as far as people tell.
 * @param {number} stretch
 * @param {number} span
 */
export const isAbout = (stretch, span) => Math.abs(stretch - span) < NEAR * span;
