// The sources: which there are, and what each is doing now.

import { sources as askSources, status as askStatus, Refusal } from "./api.js";
import { find, make, show } from "./dom.js";
import { hear } from "./live.js";
import { link, place } from "./route.js";
import { allIsWell, complain } from "./say.js";
import { clock, day, midnight, now, parse } from "./time.js";
import { levelShare } from "./timeline_paint.js";

const LOOKS_AGAIN_MS = 10_000;

/** Dispatches "known" when the list is there, and "heard" with a chunk of the chosen source. */
export class Sources extends EventTarget {
  constructor() {
    super();
    this.list = find("sources", HTMLElement);
    /** @type {import("./shapes.js").Source[]} */
    this.known = [];
    /** @type {Map<string, import("./shapes.js").Status>} */
    this.doing = new Map();
    /** @type {string | null} */
    this.chosen = null;
    this.stop = () => {};
    this.timer = 0;
  }

  /** Looks now, and again and again while the page is in sight. */
  async start() {
    clearTimeout(this.timer);
    if (!document.hidden || this.known.length === 0) {
      try {
        const [known, doing] = await Promise.all([askSources(), askStatus()]);
        // The newest of a source's recordings that are open comes first.
        this.doing = new Map(doing.reverse().map((status) => [status.source, status]));
        this.known = known;
        allIsWell("sources");
        this.show();
        this.dispatchEvent(new Event("known"));
      } catch (error) {
        // Whoever signs in starts this anew.
        if (error instanceof Refusal && error.status === 401) return;
        complain(error, "sources");
      }
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.start(), LOOKS_AGAIN_MS);
  }

  /** @param {string} source */
  choose(source) {
    if (source === this.chosen) return;
    this.chosen = source;
    this.stop();
    this.stop = hear(source, (heard) => {
      const status = this.doing.get(source);
      this.doing.set(source, {
        source,
        recording_id: heard.recording_id,
        started_at: status?.started_at ?? heard.started_at,
        heard_until: heard.ended_at,
        recording: true,
        peak_dbfs: heard.peak_dbfs,
        rms_dbfs: heard.rms_dbfs,
      });
      this.showOne(source);
      this.dispatchEvent(new CustomEvent("heard", { detail: heard }));
    });
    this.show();
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  /**
   * Returns the recording that a source is making, if it makes one.
   * @param {string} source
   */
  openRecording(source) {
    const status = this.doing.get(source);
    return status?.recording ? status.recording_id : null;
  }

  /** @param {string} name */
  about(name) {
    return this.known.find((source) => source.name === name);
  }

  show() {
    show(find("no-sources", HTMLElement), this.known.length === 0);
    const names = this.known.map((source) => source.name);
    const shown = [...this.list.querySelectorAll("a")].map((each) => each.dataset.source);
    if (names.length === 0 || JSON.stringify(names) !== JSON.stringify(shown)) {
      this.list.replaceChildren(...names.map((name) => make("li", {}, this.entry(name))));
    }
    for (const name of names) this.showOne(name);
  }

  /** @param {string} name */
  entry(name) {
    const meter = make("span", { class: "meter", "aria-hidden": "true" }, make("span"));
    return make(
      "a",
      { href: link({ source: name }), "data-source": name },
      make("span", { class: "dot", "aria-hidden": "true" }),
      make("span", { class: "name" }, name),
      make("span", { class: "doing" }),
      meter,
    );
  }

  /** @param {string} name */
  showOne(name) {
    const entry = [...this.list.querySelectorAll("a")].find((each) => each.dataset.source === name);
    if (!entry) return;
    const { from, to } = place();
    entry.href = link({ source: name, from, to });
    const recording = this.openRecording(name) !== null;
    entry.dataset.recording = String(recording);
    if (name === this.chosen) entry.setAttribute("aria-current", "true");
    else entry.removeAttribute("aria-current");
    const status = this.doing.get(name);
    const doing = entry.querySelector(".doing");
    if (doing) doing.textContent = recording ? recordingWords(status) : restingWords(this.about(name));
    const bar = entry.querySelector(".meter > span");
    const share = recording ? levelShare(status?.peak_dbfs ?? null) : 0;
    if (bar instanceof HTMLElement) bar.style.transform = `scaleX(${share})`;
  }
}

/** @param {import("./shapes.js").Status | undefined} status */
function recordingWords(status) {
  if (!status?.started_at) return "Recording";
  const level = status.peak_dbfs === null ? "silence" : `${Math.round(status.peak_dbfs)} dB`;
  return `Recording since ${sinceWords(parse(status.started_at))}, ${level}`;
}

/** @param {import("./shapes.js").Source | undefined} source */
const restingWords = (source) =>
  source?.last_heard_at ? `Last heard ${sinceWords(parse(source.last_heard_at))}` : "Not heard yet";

/** @param {number} us */
function sinceWords(us) {
  const time = clock(us).slice(0, 5);
  if (us >= midnight(now())) return time;
  if (us >= midnight(now(), -1)) return `yesterday ${time}`;
  return `${day(us)}, ${time}`;
}
