// Which moments a time axis names, so that they are round on the reader's clock and none touch.

import { asDate, clock, DAY, HOUR, MINUTE, SECOND } from "./time.js";

const LABEL_PX = 84;
const MONTH = 30.4 * DAY;

/** Steps below an hour, in microseconds. */
const SHORT = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
].map((seconds) => Math.round(seconds * SECOND));
const HOURS = [1, 2, 3, 6, 12];
const DAYS = [1, 2, 7];
const MONTHS = [1, 3, 6, 12, 24];

const LANGUAGE = "en-GB";
const dayLabel = new Intl.DateTimeFormat(LANGUAGE, { weekday: "short", day: "numeric", month: "short" });
const monthLabel = new Intl.DateTimeFormat(LANGUAGE, { month: "short", year: "numeric" });
const minuteLabel = new Intl.DateTimeFormat(LANGUAGE, { hour: "2-digit", minute: "2-digit" });

/**
 * @typedef {object} Tick
 * @property {number} us
 * @property {string} label
 * @property {boolean} strong where a new day, or a new year, begins
 */

/**
 * Returns the ticks of a stretch.
 * @param {number} from
 * @param {number} to
 * @param {number} width in pixels
 * @returns {Tick[]}
 */
export function ticks(from, to, width) {
  const least = ((to - from) * LABEL_PX) / Math.max(width, LABEL_PX);
  const short = SHORT.find((step) => step >= least);
  if (short) return shortTicks(from, to, short);
  const hours = HOURS.find((count) => count * HOUR >= least);
  if (hours) return calendar(from, to, (start, index) => hoursLater(start, index * hours), dayOrTime);
  const days = DAYS.find((count) => count * DAY >= least);
  if (days) return calendar(from, to, (start, index) => daysLater(start, index * days), monthOrDay);
  const months = MONTHS.find((count) => count * MONTH >= least) ?? 60;
  return calendar(from, to, (start, index) => monthsLater(start, index * months), yearOrMonth);
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} step
 * @returns {Tick[]}
 */
function shortTicks(from, to, step) {
  const shift = asDate(from).getTimezoneOffset() * MINUTE;
  const digits = step < SECOND ? Math.max(1, Math.ceil(-Math.log10(step / SECOND) - 1e-9)) : 0;
  const found = [];
  for (let us = Math.ceil((from - shift) / step) * step + shift; us <= to; us += step) {
    const midnight = asDate(us).getHours() === 0 && (us - shift) % DAY === 0;
    const label = step >= MINUTE ? minuteLabel.format(asDate(us)) : clock(us, digits);
    found.push({ us, label: midnight ? dayLabel.format(asDate(us)) : label, strong: midnight });
  }
  return found;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {(start: Date, index: number) => Date} nth
 * @param {(date: Date) => {label: string, strong: boolean}} named
 * @returns {Tick[]}
 */
function calendar(from, to, nth, named) {
  const start = asDate(from);
  const found = [];
  for (let index = 0; ; index += 1) {
    const date = nth(start, index);
    const us = date.getTime() * 1000;
    if (us > to) return found;
    if (us >= from) found.push({ us, ...named(date) });
  }
}

/** @type {(start: Date, hours: number) => Date} */
const hoursLater = (start, hours) => new Date(start.getFullYear(), start.getMonth(), start.getDate(), hours);
/** @type {(start: Date, days: number) => Date} */
const daysLater = (start, days) => new Date(start.getFullYear(), start.getMonth(), 1 + days);
/** @type {(start: Date, months: number) => Date} */
const monthsLater = (start, months) => new Date(start.getFullYear(), months, 1);

const dayOrTime = (/** @type {Date} */ date) =>
  date.getHours() === 0
    ? { label: dayLabel.format(date), strong: true }
    : { label: minuteLabel.format(date), strong: false };
const monthOrDay = (/** @type {Date} */ date) => ({
  label: dayLabel.format(date),
  strong: date.getDate() === 1,
});
const yearOrMonth = (/** @type {Date} */ date) => ({
  label: monthLabel.format(date),
  strong: date.getMonth() === 0,
});
