// Finding recordings: the conditions, and the list page after page.

import { recordings as askRecordings } from "./api.js";
import { find, make } from "./dom.js";
import { readTags, tagsText } from "./edit.js";
import { levelWords } from "./facts.js";
import { link } from "./route.js";
import { allIsWell, complain } from "./say.js";
import { clock, day, lasting, midnight, now, parse, SECOND, utc } from "./time.js";
import { levelShare } from "./timeline_paint.js";

const PAGE = 30;

/** The field of the form for each condition that is a text or a number there. */
const FIELDS = {
  text: "find-text",
  level: "find-level",
  state: "find-state",
  min_seconds: "find-min",
  max_seconds: "find-max",
};
const TIMES = { heard_since: "find-from", heard_until: "find-to" };

/** Dispatches "searched" when other conditions hold. */
export class Search extends EventTarget {
  constructor() {
    super();
    this.form = find("find-form", HTMLFormElement);
    this.list = find("results", HTMLElement);
    this.tags = find("find-tags", HTMLInputElement);
    this.all = find("find-all", HTMLInputElement);
    /** @type {string | null} */
    this.source = null;
    /** @type {string | null} */
    this.open = null;
    /** Where each page begins that was seen; the first begins nowhere. @type {(string | null)[]} */
    this.pages = [null];
    /** @type {string | null} */
    this.next = null;
    this.asking = new AbortController();
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.again();
    });
    this.form.addEventListener("change", () => this.again());
    find("find-clear", HTMLButtonElement).addEventListener("click", () => {
      this.form.reset();
      this.again();
    });
    find("results-next", HTMLButtonElement).addEventListener("click", () => this.turn(1));
    find("results-previous", HTMLButtonElement).addEventListener("click", () => this.turn(-1));
    this.list.addEventListener("keydown", (event) => this.walk(event));
  }

  /** The conditions as a query, for the address. */
  get conditions() {
    const found = new URLSearchParams();
    for (const [name, id] of Object.entries({ ...FIELDS, ...TIMES, tags: "find-tags" })) {
      const { value } = /** @type {HTMLInputElement} */ (find(id, HTMLElement));
      if (value) found.set(name, value);
    }
    if (this.all.checked) found.set("all", "1");
    return found.toString();
  }

  /**
   * Shows conditions that an address has.
   * @param {string | null} text
   */
  set conditions(text) {
    const wanted = new URLSearchParams(text ?? "");
    for (const [name, id] of Object.entries({ ...FIELDS, ...TIMES, tags: "find-tags" })) {
      /** @type {HTMLInputElement} */ (find(id, HTMLElement)).value = wanted.get(name) ?? "";
    }
    this.all.checked = wanted.has("all");
  }

  /** The conditions as the archive takes them. */
  get query() {
    /** @type {import("./api.js").Parameters} */
    const query = { source: this.all.checked ? null : this.source };
    for (const [name, id] of Object.entries(FIELDS)) {
      query[name] = /** @type {HTMLInputElement} */ (find(id, HTMLElement)).value;
    }
    for (const [name, id] of Object.entries(TIMES)) {
      const { value } = find(id, HTMLInputElement);
      if (value) query[name] = new Date(value).toISOString();
    }
    const tags = readTags(this.tags.value, ",");
    if (Object.keys(tags).length) query.tags = JSON.stringify(tags);
    return query;
  }

  /** @param {string} source */
  choose(source) {
    if (source === this.source) return;
    this.source = source;
    if (!this.all.checked || this.list.childElementCount === 0) this.again(false);
  }

  /** @param {boolean} [tell] */
  again(tell = true) {
    this.pages = [null];
    this.fetch();
    if (tell) this.dispatchEvent(new Event("searched"));
  }

  /** @param {1 | -1} direction */
  turn(direction) {
    if (direction === 1) this.pages.push(this.next);
    else this.pages.pop();
    this.fetch().then(() => this.list.querySelector("a")?.focus());
  }

  async fetch() {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    this.list.setAttribute("aria-busy", "true");
    try {
      const query = { ...this.query, after: this.pages.at(-1) ?? null, limit: PAGE };
      const { recordings, next } = await askRecordings(query, signal);
      this.next = next;
      this.show(recordings);
      performance.mark("list");
      allIsWell("search");
    } catch (error) {
      complain(error, "search");
    }
    if (!signal.aborted) this.list.setAttribute("aria-busy", "false");
  }

  /** @param {import("./shapes.js").Recording[]} recordings */
  show(recordings) {
    this.list.replaceChildren(...recordings.map((recording) => make("li", {}, this.entry(recording))));
    this.choice(this.open);
    find("results-next", HTMLButtonElement).disabled = this.next === null;
    find("results-previous", HTMLButtonElement).disabled = this.pages.length === 1;
    find("results-count", HTMLElement).textContent = countWords(
      recordings.length,
      this.pages.length,
      this.next,
    );
  }

  /** @param {import("./shapes.js").Recording} recording */
  entry(recording) {
    const start = parse(recording.started_at);
    const bar = make("span");
    bar.style.transform = `scaleX(${levelShare(recording.peak_dbfs)})`;
    const tags = tagsText(recording.tags, "\n").split("\n").filter(Boolean).slice(0, 4);
    return make(
      "a",
      {
        href: link({ source: recording.source, recording: recording.id, find: this.conditions }),
        "data-recording-id": recording.id,
      },
      make(
        "span",
        { class: "when", title: utc(start) },
        make("span", { class: "the-day" }, dayWords(start)),
        make("span", { class: "the-time" }, clock(start)),
      ),
      make(
        "span",
        { class: "what" },
        make(
          "span",
          { class: "the-title" },
          recording.title ?? (this.all.checked ? recording.source : "Untitled"),
        ),
        ...(this.all.checked && recording.title ? [make("span", { class: "badge" }, recording.source)] : []),
        ...(recording.state === "complete"
          ? []
          : [
              make(
                "span",
                { class: `badge badge-${recording.state}` },
                recording.state === "recording" ? "being recorded" : "interrupted",
              ),
            ]),
        ...(recording.clipped_frames ? [make("span", { class: "badge badge-clipped" }, "clipped")] : []),
        ...tags.map((tag) => make("span", { class: "badge" }, tag)),
      ),
      make("span", { class: "length" }, lasting(Math.round(recording.seconds * SECOND))),
      make(
        "span",
        { class: "level" },
        make("span", { class: "meter", "aria-hidden": "true" }, bar),
        make("span", { class: "hint" }, levelWords(recording.peak_dbfs)),
      ),
    );
  }

  /**
   * Shows which recording of the list is open.
   * @param {string | null} id
   */
  choice(id) {
    this.open = id;
    for (const entry of this.list.querySelectorAll("a")) {
      if (entry.dataset.recordingId === id) entry.setAttribute("aria-current", "true");
      else entry.removeAttribute("aria-current");
    }
  }

  /** @param {KeyboardEvent} event */
  walk(event) {
    const entries = [...this.list.querySelectorAll("a")];
    const here = entries.indexOf(/** @type {HTMLAnchorElement} */ (document.activeElement));
    /** @type {Record<string, number>} */
    const targets = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: entries.length - 1 };
    const target = entries[targets[event.key] ?? -1];
    if (!target || here < 0) return;
    event.preventDefault();
    event.stopPropagation();
    target.focus();
  }
}

/** @param {number} us */
function dayWords(us) {
  if (us >= midnight(now())) return "Today";
  if (us >= midnight(now(), -1)) return "Yesterday";
  return day(us);
}

/**
 * @param {number} count
 * @param {number} page
 * @param {string | null} next
 */
function countWords(count, page, next) {
  if (count === 0) return page === 1 ? "Nothing was found. Take away a condition." : "That was all.";
  if (page === 1 && next === null) return count === 1 ? "One recording." : `${count} recordings.`;
  return `Page ${page}, ${count} recordings, the newest first.`;
}
