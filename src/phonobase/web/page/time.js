// Moments and durations, in whole microseconds since 1970 UTC, and how people read them.

export const SECOND = 1_000_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
export const YEAR = 366 * DAY;

/** The reader's time zone, by name. */
export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const LANGUAGE = "en-GB";
const dayForm = new Intl.DateTimeFormat(LANGUAGE, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
});
const longDayForm = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full" });
const clockForm = new Intl.DateTimeFormat(LANGUAGE, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const zoneForm = new Intl.DateTimeFormat(LANGUAGE, { timeZoneName: "shortOffset" });

/** Returns the present moment. */
export const now = () => Date.now() * 1000;

/**
 * Returns a moment that the API wrote; Date alone would drop its microseconds.
 * @param {string} iso
 */
export function parse(iso) {
  const fraction = /\.(\d{1,6})/.exec(iso)?.[1] ?? "";
  const whole = Date.parse(iso.replace(/\.\d+/, ""));
  return whole * 1000 + Number(fraction.padEnd(6, "0"));
}

/**
 * Writes a moment for the API.
 * @param {number} us
 */
export function iso(us) {
  const whole = Math.floor(us / SECOND) * SECOND;
  const fraction = String(Math.floor(us - whole)).padStart(6, "0");
  return `${new Date(whole / 1000).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** @param {number} us */
export const asDate = (us) => new Date(us / 1000);

/**
 * Returns the day as "Sat, 21 Nov 2026".
 * @param {number} us
 */
export const day = (us) => dayForm.format(asDate(us));

/**
 * Returns the day as "Saturday 21 November 2026".
 * @param {number} us
 */
export const longDay = (us) => longDayForm.format(asDate(us));

/**
 * Returns the time of day, with as many digits behind the second as are asked for.
 * @param {number} us
 * @param {number} [digits]
 */
export function clock(us, digits = 0) {
  const text = clockForm.format(asDate(us));
  if (digits === 0) return text;
  const inside = Math.floor(us - Math.floor(us / SECOND) * SECOND);
  return `${text}.${String(inside).padStart(6, "0").slice(0, digits)}`;
}

/**
 * Returns day and time of day.
 * @param {number} us
 * @param {number} [digits]
 */
export const moment = (us, digits = 0) => `${day(us)} ${clock(us, digits)}`;

/**
 * Returns a moment in UTC, for a tooltip.
 * @param {number} us
 */
export const utc = (us) => `${iso(us).replace("T", " ").replace("Z", "")} UTC`;

/**
 * Returns what separates the reader's clock from UTC at a moment, as "GMT+1".
 * @param {number} us
 */
export const offset = (us) =>
  zoneForm.formatToParts(asDate(us)).find((part) => part.type === "timeZoneName")?.value ?? "UTC";

/**
 * Returns a duration in words: "2 h 13 min", "4 min 5 s", "12.3 s", "230 ms".
 * @param {number} us
 */
export function lasting(us) {
  if (us < SECOND) return `${Math.round(us / 1000)} ms`;
  if (us < MINUTE) return `${Number((us / SECOND).toFixed(us < 10 * SECOND ? 2 : 1))} s`;
  const parts = [
    [Math.floor(us / DAY), "d"],
    [Math.floor((us % DAY) / HOUR), "h"],
    [Math.floor((us % HOUR) / MINUTE), "min"],
    [Math.floor((us % MINUTE) / SECOND), "s"],
  ];
  const first = parts.findIndex(([count]) => count !== 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count !== 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/**
 * Returns a position as players show it: "1:02:03".
 * @param {number} seconds
 * @param {number} [digits]
 */
export function position(seconds, digits = 0) {
  const scale = 10 ** digits;
  const whole = Math.floor(seconds * scale + 1e-6) / scale;
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (whole % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * Returns a day as a date field has it.
 * @param {number} us
 */
export function dateField(us) {
  const date = asDate(us);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const TIME = /^(\d{1,2})(?:[:.]?(\d{2})(?:[:.]?(\d{2})(?:[.,](\d{1,6}))?)?)?\s*([ap]m)?$/i;

/**
 * Returns the moment that a date field and a time of day mean here; NaN where they mean none.
 * @param {string} date as "2026-11-21"
 * @param {string} time as "14:03", "14:03:05", "14:03:05.123", "14.03", "1403" or "2pm"
 */
export function fromFields(date, time) {
  const [, hours = "", minutes, seconds = "00", fraction = "", half] =
    TIME.exec(time.trim() || "00:00") ?? [];
  // A number alone may be anything.
  if (!hours || (minutes === undefined && half === undefined)) return Number.NaN;
  let hour = Number(hours);
  if (half !== undefined) {
    if (hour < 1 || hour > 12) return Number.NaN;
    hour = (hour % 12) + (half.toLowerCase() === "pm" ? 12 : 0);
  }
  const text = `${date}T${String(hour).padStart(2, "0")}:${minutes ?? "00"}:${seconds}`;
  return new Date(text).getTime() * 1000 + Number(fraction.padEnd(6, "0"));
}

/**
 * Returns where the day begins that a moment lies in, as the reader's clock has it.
 * @param {number} us
 * @param {number} [days] how many days later
 */
export function midnight(us, days = 0) {
  const date = asDate(us);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime() * 1000;
}
