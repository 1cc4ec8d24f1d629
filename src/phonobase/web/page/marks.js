// The marked stretch of a source's time: set by hand, by key or by two fields; played, and taken along.

import { cutAddress } from "./api.js";
import { find } from "./dom.js";
import { missingWords, Reach, whyNot } from "./reach.js";
import { allIsWell, complain, say } from "./say.js";
import { takeAlong } from "./take.js";
import { clock, dateField, day, fromFields, iso, lasting, parse } from "./time.js";

const DIGITS = 3;
const HOW = "Write a time as 14:03:05, or a day and a time as 2026-11-21 14:03:05.";

/** @typedef {"start" | "stop"} End */
/** @type {End[]} */
const ENDS = ["start", "stop"];

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
    /** What was written into the fields here. */
    this.written = { start: "", stop: "" };
    /** What is wrong with what somebody else wrote there. */
    this.wrong = { start: "", stop: "" };
    this.reach = new Reach();
    this.download = find("mark-download", HTMLAnchorElement);
    this.listen();
    this.show();
  }

  listen() {
    for (const end of ENDS) {
      this.fields[end].addEventListener("change", () => this.read(end));
      find(`mark-here-${end}`, HTMLButtonElement).addEventListener("click", () => this.here(end));
    }
    for (const id of ["mark-format", "mark-gaps", "mark-manifest"]) {
      find(id, HTMLElement).addEventListener("change", () => this.offer());
    }
    find("mark-play", HTMLButtonElement).addEventListener("click", () =>
      this.dispatchEvent(new Event("play")),
    );
    find("mark-clear", HTMLButtonElement).addEventListener("click", () => this.set(null));
    find("mark-form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
    this.reach.addEventListener("known", () => this.offer());
    this.download.addEventListener("click", (event) => {
      event.preventDefault();
      this.take().catch((error) => complain(error, "download"));
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
    this.settle({ start: mark?.[0] ?? null, stop: mark?.[1] ?? null });
  }

  /** @param {{start: number | null, stop: number | null}} ends the end behind the start, where both are set */
  settle(ends) {
    const { start, stop } = ends;
    this.ends = ends;
    this.mark = start !== null && stop !== null ? [start, stop] : null;
    this.wrong = { start: "", stop: "" };
    this.show();
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * Sets one end where the cursor is; on the wrong side of the other one it begins a new stretch.
   * @param {End} end
   */
  here(end) {
    const us = this.cursor();
    const ends = { ...this.ends, [end]: us };
    const { start, stop } = ends;
    const turned = start !== null && stop !== null && start >= stop;
    this.settle(turned ? { start: null, stop: null, [end]: us } : ends);
    const words = end === "start" ? "The stretch begins" : "The stretch ends";
    say(`${words} at ${clock(us, DIGITS)}.`);
  }

  /**
   * Takes what was written into the fields, unless it means nothing.
   * @param {End} changed the field that was written into last
   */
  read(changed) {
    const start = this.meant("start", this.ends.start ?? this.ends.stop ?? this.cursor());
    const stop = this.meant("stop", start || (this.ends.stop ?? this.cursor()));
    this.wrong = { start: Number.isNaN(start) ? HOW : "", stop: Number.isNaN(stop) ? HOW : "" };
    if (start !== null && stop !== null && start >= stop) {
      this.wrong[changed] = "The stretch would end before it begins: From comes before To.";
    }
    if (this.wrong.start || this.wrong.stop) this.show();
    else this.settle({ start, stop });
  }

  /**
   * Returns the moment that a field means, a time of day or a day and a time; NaN where it means none.
   * @param {End} end
   * @param {number} about on the day of which a time of day lies
   */
  meant(end, about) {
    const text = this.fields[end].value.trim();
    if (text === this.written[end]) return this.ends[end];
    if (!text) return null;
    const [, date, time] = /^(\d{4}-\d{2}-\d{2})[ T]+(.+)$/.exec(text) ?? [];
    return fromFields(date ?? dateField(about), time ?? text);
  }

  /** Why nothing can be loaded; empty where it can, as far as is known yet. */
  get refusal() {
    if (this.wrong.start || this.wrong.stop) return "A time above is to be mended first.";
    if (!this.mark) return "No stretch is marked yet.";
    return whyNot(this.reach, find("mark-gaps", HTMLSelectElement).value);
  }

  /** Loads the stretch; what was not asked yet is asked before. */
  async take() {
    await this.reach.asked;
    const { refusal } = this;
    if (refusal || !this.mark) return say(refusal);
    allIsWell("download");
    await takeAlong(this.download.href, this.mark[1] - this.mark[0]);
  }

  show() {
    this.reach.about(this.source, this.mark);
    for (const end of ENDS) this.showField(end);
    this.offer();
  }

  /** Offers what can be done with the stretch; what is being written into the fields is left alone. */
  offer() {
    const { mark, ends, source } = this;
    const bad = this.wrong.start !== "" || this.wrong.stop !== "";
    find("mark-play", HTMLButtonElement).disabled = mark === null || bad;
    find("mark-clear", HTMLButtonElement).disabled = ends.start === null && ends.stop === null && !bad;
    find("mark-said", HTMLElement).textContent = this.words();
    if (this.refusal || !mark) {
      this.download.removeAttribute("href");
      this.download.setAttribute("aria-disabled", "true");
      return;
    }
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

  /** @param {End} end */
  showField(end) {
    const { ends } = this;
    const field = this.fields[end];
    const wrong = this.wrong[end];
    const us = ends[end];
    // What is not understood stays, to be mended; so does what stands beside it.
    if (!this.wrong.start && !this.wrong.stop) {
      const about = end === "stop" && ends.start !== null ? ends.start : this.cursor();
      field.value = this.written[end] = us === null ? "" : written(us, about);
    }
    const error = find(`mark-${end}-error`, HTMLElement);
    error.textContent = wrong;
    error.hidden = !wrong;
    if (wrong) field.setAttribute("aria-invalid", "true");
    else field.removeAttribute("aria-invalid");
  }

  /** What is marked, and what of it is missing. */
  words() {
    const { mark, ends, source } = this;
    if (this.wrong.start || this.wrong.stop) return this.refusal;
    if (!mark || source === null) {
      return ends.start === null && ends.stop === null
        ? "No stretch is marked yet. Drag in the close-up, or write two times."
        : "Now the other end of the stretch.";
    }
    const [start, stop] = mark;
    const what = `${lasting(stop - start)} of ${source}, on ${day(start)} from ${clock(start, DIGITS)} to ${clock(stop, DIGITS)}.`;
    return [what, missingWords(this.reach), this.refusal].filter(Boolean).join(" ");
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
 * Reads a moment as an address has it; null where there is none, or none that is one.
 * @param {string | null} text
 */
export function readMoment(text) {
  const us = text ? parse(text) : Number.NaN;
  return Number.isNaN(us) ? null : us;
}

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
