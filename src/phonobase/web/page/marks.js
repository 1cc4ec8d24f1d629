// The marked stretch of a source's time: set by hand, by key or by two fields; played, and taken along.

import { cutAddress } from "./api.js";
import { find } from "./dom.js";
import { say } from "./say.js";
import { clock, dateField, day, fromFields, iso, lasting, parse } from "./time.js";

const DIGITS = 3;

/** Dispatches "changed", and "play" when the stretch shall be played. */
export class Marks extends EventTarget {
  /** @param {() => number} cursor where a field without a day means the time of */
  constructor(cursor) {
    super();
    this.cursor = cursor;
    /** @type {[number, number] | null} */
    this.mark = null;
    /** One end is set, the other is not yet. @type {{start: number | null, stop: number | null}} */
    this.ends = { start: null, stop: null };
    /** @type {string | null} */
    this.source = null;
    this.fields = { start: find("mark-start", HTMLInputElement), stop: find("mark-stop", HTMLInputElement) };
    this.download = find("mark-download", HTMLAnchorElement);
    this.listen();
    this.show();
  }

  listen() {
    for (const end of /** @type {const} */ (["start", "stop"])) {
      this.fields[end].addEventListener("change", () => this.read(end));
      find(`mark-here-${end}`, HTMLButtonElement).addEventListener("click", () => this.here(end));
    }
    for (const id of ["mark-format", "mark-gaps", "mark-manifest"]) {
      find(id, HTMLElement).addEventListener("change", () => this.show());
    }
    find("mark-play", HTMLButtonElement).addEventListener("click", () =>
      this.dispatchEvent(new Event("play")),
    );
    find("mark-clear", HTMLButtonElement).addEventListener("click", () => this.set(null));
    find("mark-form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
    this.download.addEventListener("click", (event) => {
      if (this.mark) say("The download begins.");
      else event.preventDefault();
    });
  }

  /** @param {string | null} source */
  choose(source) {
    if (source === this.source) return;
    if (this.source !== null) this.set(null);
    this.source = source;
    this.show();
  }

  /** @param {[number, number] | null} mark */
  set(mark) {
    this.mark = mark;
    this.ends = { start: mark?.[0] ?? null, stop: mark?.[1] ?? null };
    this.show();
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * Sets one end where the cursor is.
   * @param {"start" | "stop"} end
   */
  here(end) {
    this.put(end, this.cursor());
    const words = end === "start" ? "The stretch begins" : "The stretch ends";
    say(`${words} at ${clock(this.cursor(), DIGITS)}.`);
  }

  /**
   * @param {"start" | "stop"} end
   * @param {number | null} us
   */
  put(end, us) {
    const ends = { ...this.ends, [end]: us };
    const { start, stop } = ends;
    if (start !== null && stop !== null && start < stop) return this.set([start, stop]);
    // An end on the wrong side of the other one begins a new stretch.
    this.mark = null;
    this.ends = end === "start" ? { start: us, stop: null } : { start: null, stop: us };
    if (us === null) this.ends = { ...ends };
    this.show();
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * Takes what was written into a field: a time of day, or a day and a time.
   * @param {"start" | "stop"} end
   */
  read(end) {
    const field = this.fields[end];
    const text = field.value.trim();
    if (!text) return this.put(end, null);
    const [first = "", second] = text.split(/[ T]+/);
    const about = this.ends[end === "start" ? "stop" : "start"] ?? this.cursor();
    const us = second === undefined ? fromFields(dateField(about), first) : fromFields(first, second);
    field.setCustomValidity(
      Number.isNaN(us) ? "Write a time as 14:03:05, or a day and a time as 2026-11-21 14:03:05" : "",
    );
    if (field.reportValidity()) this.put(end, us);
  }

  show() {
    const { mark, ends, fields, source } = this;
    fields.start.value = ends.start === null ? "" : written(ends.start, this.cursor());
    fields.stop.value = ends.stop === null ? "" : written(ends.stop, ends.start ?? this.cursor());
    find("mark-play", HTMLButtonElement).disabled = mark === null;
    find("mark-clear", HTMLButtonElement).disabled = ends.start === null && ends.stop === null;
    const said = find("mark-said", HTMLElement);
    if (!mark || source === null) {
      this.download.removeAttribute("href");
      this.download.setAttribute("aria-disabled", "true");
      said.textContent =
        ends.start === null && ends.stop === null
          ? "No stretch is marked yet. Drag in the close-up, or write two times."
          : "Now the other end of the stretch.";
      return;
    }
    said.textContent = `${lasting(mark[1] - mark[0])} of ${source}, on ${day(mark[0])} from ${clock(mark[0], DIGITS)} to ${clock(mark[1], DIGITS)}.`;
    this.download.removeAttribute("aria-disabled");
    this.download.href = cutAddress({
      source,
      from: iso(mark[0]),
      to: iso(mark[1]),
      format: find("mark-format", HTMLSelectElement).value,
      gaps: find("mark-gaps", HTMLSelectElement).value,
      manifest: find("mark-manifest", HTMLInputElement).checked,
    });
  }
}

/**
 * Writes a moment into a field; its day only where it is not the day it would be taken for.
 * @param {number} us
 * @param {number} about
 */
const written = (us, about) =>
  dateField(us) === dateField(about) ? clock(us, DIGITS) : `${dateField(us)} ${clock(us, DIGITS)}`;

/**
 * Reads a stretch as an address has it: two moments, with a slash between.
 * @param {string | null} text
 * @returns {[number, number] | null}
 */
export function readStretch(text) {
  const [start, stop] = (text ?? "").split("/").map(parse);
  return start !== undefined && stop !== undefined && start < stop ? [start, stop] : null;
}

/** @param {[number, number] | null} stretch */
export const writeStretch = (stretch) => stretch && `${iso(stretch[0])}/${iso(stretch[1])}`;
