// A close-up of a recording: from all of it down to some milliseconds, with peaks as fine as the screen.

import { peaks as askPeaks } from "./api.js";
import { look } from "./causes.js";
import { eachFrame, find, make, settled } from "./dom.js";
import { fitted, keys, pointers } from "./gestures.js";
import { complain } from "./say.js";
import { Spectrogram } from "./spectrogram.js";
import { colours } from "./theme.js";
import { clock, DAY, lasting, parse, position, SECOND } from "./time.js";
import { Viewport } from "./viewport.js";
import { drawOver, paintWave } from "./wave_paint.js";

const SETTLES_MS = 80;
const LEAST_US = 20_000;
const MOST_SCALE = 50;
const TABLE_ROWS = 20;
const OPENS_US = 60 * SECOND;

/** Dispatches "sought" with the moment as detail, "marked", and "looked" (another stretch is shown). */
export class Wave extends EventTarget {
  constructor() {
    super();
    this.surface = find("wave", HTMLElement);
    this.canvas = find("wave-canvas", HTMLCanvasElement);
    this.spectrogram = new Spectrogram(
      find("spectrogram", HTMLCanvasElement),
      find("spectrogram-note", HTMLElement),
      (context, width, height) => drawOver(context, this.viewport, this, width, height),
    );
    this.viewport = new Viewport({ least: LEAST_US, most: DAY, first: 0, last: DAY });
    /** @type {import("./shapes.js").Recording | null} */
    this.recording = null;
    /** @type {import("./shapes.js").Peaks | null} */
    this.peaks = null;
    /** @type {import("./shapes.js").Gap[]} */
    this.gaps = [];
    /** @type {[number, number] | null} */
    this.mark = null;
    this.start = 0;
    /** What its loudest sample is drawn with, so that quiet sound can be seen. */
    this.scale = 1;
    this.cursor = 0;
    this.asking = new AbortController();
    this.draw = fitted(this.canvas, () => this.paint());
    this.fetchSoon = settled(SETTLES_MS, () => this.fetch());
    this.tell = eachFrame(() => this.describe());
    this.viewport.addEventListener("changed", () => this.look());
    colours.addEventListener("changed", () => {
      this.draw();
      this.spectrogram.colourIn();
    });
    this.listen();
  }

  listen() {
    const sought = (/** @type {number} */ us) =>
      this.dispatchEvent(new CustomEvent("sought", { detail: us }));
    pointers(this.surface, this.viewport, {
      drag: "mark",
      clicked: sought,
      marked: (start, stop, done) => {
        this.mark = [start, stop];
        this.draw();
        if (done) this.dispatchEvent(new Event("marked"));
      },
    });
    keys(this.surface, this.viewport, {
      cursor: () => this.cursor,
      moved: (us) => {
        this.viewport.reveal(us);
        sought(us);
      },
      first: () => this.viewport.bounds.first,
      last: () => this.viewport.bounds.last,
    });
    this.surface.addEventListener("focus", () => this.tell());
    find("wave-zoom-in", HTMLButtonElement).addEventListener("click", () =>
      this.viewport.zoom(0.5, this.middle),
    );
    find("wave-zoom-out", HTMLButtonElement).addEventListener("click", () =>
      this.viewport.zoom(2, this.middle),
    );
    find("wave-all", HTMLButtonElement).addEventListener("click", () =>
      this.viewport.set(0, Number.MAX_SAFE_INTEGER / 4),
    );
    find("wave-details", HTMLDetailsElement).addEventListener("toggle", () => this.fillTable());
  }

  /** The cursor where it is in sight, or the middle of what is. */
  get middle() {
    const { from, to } = this.viewport;
    return this.cursor >= from && this.cursor <= to ? this.cursor : (from + to) / 2;
  }

  /**
   * Shows a recording.
   * @param {import("./shapes.js").Recording} recording
   * @param {number} cursor
   * @param {[number, number] | null} window
   * @param {Promise<unknown>} overview what is to be drawn before the tones are asked for
   */
  open(recording, cursor, window, overview) {
    this.recording = recording;
    this.spectrogram.after = overview;
    this.peaks = null;
    this.gaps = [];
    this.cursor = cursor;
    this.scale = recording.peak_dbfs === null ? 1 : Math.min(MOST_SCALE, 10 ** (-recording.peak_dbfs / 20));
    this.start = parse(recording.started_at);
    const end = this.start + Math.max(LEAST_US, Math.round(recording.seconds * SECOND));
    this.viewport.bounds = {
      least: Math.min(LEAST_US, end - this.start),
      most: DAY,
      first: this.start,
      last: end,
    };
    const [from, to] = window ?? [cursor - OPENS_US / 3, cursor + (OPENS_US * 2) / 3];
    this.viewport.from = this.viewport.to = this.start - 1;
    this.viewport.set(from, to);
  }

  /** Takes in what the recording has got meanwhile; who looks at its end goes on doing so. */
  grow() {
    const { recording, viewport } = this;
    if (!recording) return;
    const { last } = viewport.bounds;
    const end = this.start + Math.round(recording.seconds * SECOND);
    viewport.bounds.last = end;
    if (viewport.to === last) viewport.set(viewport.from + (end - last), end);
    this.tell();
  }

  /**
   * Shows where the sound is; what is shown follows it while it plays.
   * @param {number} us
   * @param {boolean} playing
   */
  moveTo(us, playing) {
    const inSight = this.cursor >= this.viewport.from && this.cursor <= this.viewport.to;
    this.cursor = us;
    if (playing && inSight) this.viewport.reveal(us, 0.02);
    this.draw();
    this.tell();
  }

  /** @param {[number, number] | null} mark */
  setMark(mark) {
    this.mark = mark;
    this.draw();
  }

  /** @param {import("./shapes.js").Gap[]} gaps */
  setGaps(gaps) {
    this.gaps = gaps;
    this.draw();
    this.fillTable();
  }

  /** The frames that are shown. */
  frames() {
    const recording = this.recording;
    if (!recording) return { start: 0, stop: 1 };
    const frame = (/** @type {number} */ us) => ((us - this.start) / SECOND) * recording.sample_rate;
    const start = Math.max(0, Math.min(Math.floor(frame(this.viewport.from)), recording.frame_count - 1));
    return {
      start,
      stop: Math.max(start + 1, Math.min(Math.ceil(frame(this.viewport.to)), recording.frame_count)),
    };
  }

  look() {
    if (!this.recording) return;
    this.surface.dataset.ready = "false";
    this.draw();
    this.tell();
    this.spectrogram.show(this.recording, this.frames());
    this.fetchSoon();
    this.dispatchEvent(new Event("looked"));
  }

  async fetch() {
    this.asking.abort();
    this.asking = new AbortController();
    const recording = this.recording;
    if (!recording || recording.frame_count === 0 || !this.canvas.clientWidth) return;
    try {
      const width = Math.min(2000, this.canvas.clientWidth);
      const peaks = await askPeaks(recording.id, { ...this.frames(), width }, this.asking.signal);
      if (recording !== this.recording) return;
      this.peaks = peaks;
      this.paint();
      this.fillTable();
      this.surface.dataset.ready = "true";
    } catch (error) {
      complain(error);
    }
  }

  paint() {
    if (!this.recording) return;
    paintWave(this.canvas, this.viewport, this);
    this.spectrogram.paint();
    const { from, to } = this.viewport;
    this.surface.dataset.start = String((from - this.start) / SECOND);
    this.surface.dataset.stop = String((to - this.start) / SECOND);
  }

  describe() {
    const { from, to } = this.viewport;
    const digits = to - from < 20 * SECOND ? 2 : 0;
    find("wave-name", HTMLElement).textContent =
      `${clock(from, digits)} to ${clock(to, digits)}, ${lasting(to - from)}`;
    const seconds = (/** @type {number} */ us) => (us - this.start) / SECOND;
    const surface = this.surface;
    surface.setAttribute("aria-valuemin", "0");
    surface.setAttribute("aria-valuemax", seconds(this.viewport.bounds.last).toFixed(2));
    surface.setAttribute("aria-valuenow", seconds(this.cursor).toFixed(2));
    surface.setAttribute(
      "aria-valuetext",
      `${clock(this.cursor, digits)}, ${position(seconds(this.cursor), digits)} from the start${this.missingAt(this.cursor)}`,
    );
  }

  /** @param {number} us */
  missingAt(us) {
    const gap = this.gaps.find((each) => parse(each.started_at) <= us && us < parse(each.ended_at));
    return gap ? `, missing: ${look(gap.cause).words}` : "";
  }

  fillTable() {
    const { peaks, recording } = this;
    if (!peaks || !recording || !find("wave-details", HTMLDetailsElement).open) return;
    const columns = peaks.peaks[0] ? peaks.peaks[0].length / 2 : 0;
    const each = Math.max(1, Math.ceil(columns / TABLE_ROWS));
    const rows = [];
    for (let column = 0; column < columns; column += each) {
      rows.push(this.row(peaks, column, Math.min(columns, column + each), columns));
    }
    const table = find("wave-table", HTMLTableElement);
    (table.tBodies[0] ?? table.createTBody()).replaceChildren(...rows);
  }

  /**
   * @param {import("./shapes.js").Peaks} peaks
   * @param {number} first
   * @param {number} behind
   * @param {number} columns
   */
  row(peaks, first, behind, columns) {
    const at = (/** @type {number} */ column) =>
      this.start +
      Math.round(
        ((peaks.start + ((peaks.stop - peaks.start) * column) / columns) / peaks.sample_rate) * SECOND,
      );
    const start = at(first);
    const values = peaks.peaks.flatMap((channel) => channel.slice(2 * first, 2 * behind));
    const peak = Math.max(0, ...values.map(Math.abs));
    const lost = this.gaps.filter((gap) => parse(gap.started_at) < at(behind) && parse(gap.ended_at) > start);
    const button = make("button", { type: "button", class: "plain" }, clock(start, 2));
    button.addEventListener("click", () => this.dispatchEvent(new CustomEvent("sought", { detail: start })));
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, button),
      make("td", {}, peak ? `${Math.round(20 * Math.log10(peak))} dB` : "silence"),
      make("td", {}, lost.map((gap) => look(gap.cause).words).join(", ") || "–"),
    );
  }
}
