// A source's time at a glance: what was heard, how loud, and what is missing and why.

import { timeline as askTimeline } from "./api.js";
import { isAbout, MONTH, unitAt, unitBeside, WEEK } from "./calendar.js";
import { look, swatch } from "./causes.js";
import { eachFrame, find, make, settled } from "./dom.js";
import { fitted, keys, pointers } from "./gestures.js";
import { complain } from "./say.js";
import { colours } from "./theme.js";
import {
  clock,
  DAY,
  HOUR,
  iso,
  lasting,
  longDay,
  MINUTE,
  moment,
  now,
  parse,
  SECOND,
  utc,
  YEAR,
} from "./time.js";
import { isMerged, paint } from "./timeline_paint.js";
import { fillTable } from "./timeline_table.js";
import { Viewport } from "./viewport.js";

const SETTLES_MS = 90;
/** Of the window, so that what stood at its edge stays in sight. */
const STEP = 0.8;
const FIRST_YEAR_US = Date.UTC(1970, 0, 1) * 1000;
const LAST_YEAR_US = Date.UTC(2200, 0, 1) * 1000;

/** How long the stretches are that buttons choose. */
export const SPANS = new Map([
  ["year", YEAR],
  ["month", MONTH],
  ["week", WEEK],
  ["day", DAY],
  ["hour", HOUR],
  ["minute", MINUTE],
  ["second", SECOND],
]);

/** Dispatches "chosen" (play from the cursor) and "marked". */
export class Timeline extends EventTarget {
  constructor() {
    super();
    this.surface = find("timeline", HTMLElement);
    this.canvas = find("timeline-canvas", HTMLCanvasElement);
    this.tip = find("timeline-tip", HTMLElement);
    this.viewport = new Viewport({ least: SECOND, most: 2 * YEAR, first: FIRST_YEAR_US, last: LAST_YEAR_US });
    /** @type {string | null} */
    this.source = null;
    /** @type {string | null} */
    this.recording = null;
    /** @type {[number, number] | null} */
    this.mark = null;
    this.cursor = now();
    /** @type {import("./shapes.js").Timeline | null} */
    this.data = null;
    this.asking = new AbortController();
    this.draw = fitted(this.canvas, () => this.paint());
    this.fetchSoon = settled(SETTLES_MS, () => this.fetch());
    this.tell = eachFrame(() => this.describe());
    this.viewport.addEventListener("changed", () => {
      this.surface.dataset.ready = "false";
      // While a recording is open, the cursor is where its sound is.
      if (this.recording === null) this.cursor = this.middle;
      this.draw();
      this.tell();
      this.fetchSoon();
    });
    colours.addEventListener("changed", () => {
      this.draw();
      this.showLegend();
    });
    this.listen();
  }

  listen() {
    pointers(this.surface, this.viewport, {
      drag: "pan",
      clicked: (us) => {
        this.moveTo(us);
        this.dispatchEvent(new Event("chosen"));
      },
      marked: (start, stop, done) => this.setMark([start, stop], done),
      hovered: (us) => this.point(us),
    });
    keys(this.surface, this.viewport, {
      cursor: () => this.middle,
      moved: (us) => this.moveTo(Math.min(us, now())),
      entered: (us) => {
        this.moveTo(us);
        this.dispatchEvent(new Event("chosen"));
      },
      first: () => this.viewport.from,
      last: () => this.viewport.to,
    });
    this.surface.addEventListener("focus", () => this.tell());
    find("timeline-zoom-in", HTMLButtonElement).addEventListener("click", () =>
      this.viewport.zoom(0.5, this.middle),
    );
    find("timeline-zoom-out", HTMLButtonElement).addEventListener("click", () =>
      this.viewport.zoom(2, this.middle),
    );
    find("timeline-earlier", HTMLButtonElement).addEventListener("click", () => this.step(-1));
    find("timeline-later", HTMLButtonElement).addEventListener("click", () => this.step(1));
    for (const button of document.querySelectorAll("button[data-span]")) {
      if (!(button instanceof HTMLElement)) continue;
      const length = SPANS.get(button.dataset.span ?? "") ?? DAY;
      button.addEventListener("click", () => this.show(length, this.middle));
    }
    find("timeline-details", HTMLDetailsElement).addEventListener("toggle", () => this.fillTable());
  }

  /** The cursor where it is in sight, or the middle of what is; never later than now. */
  get middle() {
    const { from, to } = this.viewport;
    return this.cursor >= from && this.cursor <= to ? this.cursor : Math.min((from + to) / 2, now());
  }

  /**
   * Shows a stretch of a length about a moment; a day, a week, a month or a year as the calendar has it.
   * @param {number} length
   * @param {number} about
   */
  show(length, about) {
    this.viewport.set(...(unitAt(length, about) ?? [about - length / 2, about + length / 2]));
  }

  /**
   * Shows the day, week, month or year beside the one that is shown; of another stretch, most of the next.
   * @param {1 | -1} direction
   */
  step(direction) {
    const { from, to } = this.viewport;
    const beside = unitBeside(from, to, direction);
    if (beside) this.viewport.set(...beside);
    else this.viewport.pan(direction * STEP);
  }

  /** @param {string} source */
  choose(source) {
    if (source === this.source) return;
    this.source = source;
    this.data = null;
    this.surface.setAttribute("aria-label", `Timeline of ${source}`);
    this.draw();
    // Before a stretch is chosen there is nothing to ask about; choosing one asks.
    if (this.viewport.from !== 0) this.fetch();
  }

  /** @param {number} us */
  moveTo(us) {
    this.cursor = us;
    this.viewport.reveal(us);
    this.draw();
    this.tell();
  }

  /**
   * @param {[number, number] | null} mark
   * @param {boolean} done
   */
  setMark(mark, done) {
    this.mark = mark;
    this.draw();
    if (done) this.dispatchEvent(new Event("marked"));
  }

  async fetch() {
    if (this.source === null || this.canvas.clientWidth === 0) return;
    this.asking.abort();
    this.asking = new AbortController();
    const { from, to } = this.viewport;
    const width = Math.min(Math.max(this.canvas.clientWidth, 50), 2000);
    try {
      const query = { source: this.source, from: iso(from), to: iso(to), width };
      this.data = await askTimeline(query, this.asking.signal);
      this.showLegend();
      this.fillTable();
      this.paint();
      this.describe();
      this.surface.dataset.from = iso(from);
      this.surface.dataset.to = iso(to);
      this.surface.dataset.ready = "true";
      performance.mark("timeline");
    } catch (error) {
      complain(error);
    }
  }

  paint() {
    paint(this.canvas, this.viewport, this);
  }

  describe() {
    const { from, to } = this.viewport;
    find("timeline-heading-day", HTMLElement).textContent = stretchName(from, to);
    const surface = this.surface;
    surface.setAttribute("aria-valuemin", String(Math.floor(from / SECOND)));
    surface.setAttribute("aria-valuemax", String(Math.ceil(to / SECOND)));
    surface.setAttribute("aria-valuenow", String(Math.round(this.middle / SECOND)));
    surface.setAttribute("aria-valuetext", this.what(this.middle));
    for (const button of document.querySelectorAll("button[data-span]")) {
      if (!(button instanceof HTMLElement)) continue;
      const length = SPANS.get(button.dataset.span ?? "") ?? DAY;
      button.setAttribute("aria-pressed", String(isAbout(to - from, length)));
    }
  }

  /**
   * Says what became of a moment.
   * @param {number} us
   */
  what(us) {
    const time = moment(us, this.viewport.length < MINUTE ? 2 : 0);
    const data = this.data;
    if (!data || us < parse(data.from) || us >= parse(data.to)) return time;
    const step = (parse(data.to) - parse(data.from)) / data.columns;
    const column = Math.floor((us - parse(data.from)) / step);
    const heard = data.heard[column] ?? 0;
    const start = parse(data.from) + column * step;
    const around = data.gaps.filter(
      (each) => parse(each.started_at) < start + step && parse(each.ended_at) > start,
    );
    const causes = [...new Set(around.map((each) => look(each.cause).words))].join(", ");
    if (heard === 0) {
      const [gap] = around;
      if (!gap) return `${time}: ${us > now() ? "not yet" : "not recorded"}`;
      if (around.length > 1 || isMerged(gap)) return `${time}: ${causes}`;
      const length = lasting(parse(gap.ended_at) - parse(gap.started_at));
      return `${time}: ${causes} (${length})${gap.detail ? `: ${gap.detail}` : ""}`;
    }
    const level = data.peak_dbfs[column];
    const loud = level === null || level === undefined ? "silence" : `up to ${Math.round(level)} dB`;
    const recording = data.recordings.find(
      (each) => parse(each.started_at) <= us && us < parse(each.ended_at),
    );
    const name = recording?.title ? `, ${recording.title}` : "";
    if (!around.length) return `${time}: heard, ${loud}${name}`;
    return `${time}: ${lasting(heard * step)} of ${lasting(step)} heard, ${loud}${name}; else ${causes}`;
  }

  /** @param {number | null} us */
  point(us) {
    this.tip.hidden = us === null;
    if (us === null) return;
    this.tip.textContent = this.what(us);
    this.tip.title = utc(us);
    const width = this.surface.clientWidth;
    const x = this.viewport.x(us, width);
    const room = width - this.tip.offsetWidth;
    this.tip.style.transform = `translateX(${Math.max(0, Math.min(x - this.tip.offsetWidth / 2, room))}px)`;
  }

  showLegend() {
    const causes = [...new Set(this.data?.gaps.map((gap) => gap.cause))].sort();
    const items = causes.map((cause) => make("li", {}, swatch(cause), look(cause).words));
    const heard = make("span", { class: "swatch swatch-heard", "aria-hidden": "true" });
    find("legend", HTMLElement).replaceChildren(
      make("li", {}, heard, "Heard: the taller the louder, the paler the less of the time"),
      ...items,
    );
  }

  fillTable() {
    if (!this.data || !find("timeline-details", HTMLDetailsElement).open) return;
    fillTable(find("timeline-table", HTMLTableElement), this.data, (us) => {
      this.moveTo(us);
      this.dispatchEvent(new Event("chosen"));
    });
  }
}

/**
 * Names a stretch as its reader would.
 * @param {number} from
 * @param {number} to
 */
function stretchName(from, to) {
  if (to - from > 27 * DAY) return `${longDay(from)} to ${longDay(to - 1)}`;
  if (longDay(from) === longDay(to - 1)) {
    if (to - from > 22 * HOUR) return longDay(from);
    const digits = to - from < 10 * SECOND ? 2 : 0;
    return `${longDay(from)}, ${clock(from, digits)} to ${clock(to, digits)}`;
  }
  return `${moment(from).slice(0, -3)} to ${moment(to).slice(0, -3)}`;
}
