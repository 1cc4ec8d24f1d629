// One recording: its sound, its picture, and what is known of it.

import { peaks as askPeaks, recording as askRecording, audioAddress, gapsInside } from "./api.js";
import { find } from "./dom.js";
import { Editor } from "./edit.js";
import { showFacts, stateWords } from "./facts.js";
import { Overview } from "./overview.js";
import { Player } from "./player.js";
import { complain, say } from "./say.js";
import { clock, dateField, lasting, moment, parse, position, SECOND, utc } from "./time.js";
import { Wave } from "./wave.js";

const STEP_S = 5;
/** By so much a recording grows before it is drawn as a whole again. */
const GROWS = 1.05;

/** Dispatches "moved" (the sound is elsewhere), "looked", "marked", "closed" and "edited". */
export class RecordingView extends EventTarget {
  constructor() {
    super();
    this.section = find("recording", HTMLElement);
    this.about = find("about", HTMLElement);
    this.title = find("recording-title", HTMLElement);
    this.player = new Player();
    this.wave = new Wave();
    this.editor = new Editor();
    /** @type {import("./shapes.js").Recording | null} */
    this.recording = null;
    /** @type {Overview | null} */
    this.overview = null;
    /** @type {[number, number] | null} */
    this.mark = null;
    /** How many frames the sound has that the player took. */
    this.taken = 0;
    /** How long the recording was when it was drawn as a whole, in seconds. */
    this.drawn = 0;
    /** Until it is drawn as a whole. @type {Promise<unknown>} */
    this.drawing = Promise.resolve();
    this.asking = new AbortController();
    this.listen();
  }

  listen() {
    const { player, wave } = this;
    player.addEventListener("moved", () => this.showPosition());
    player.addEventListener("switched", () => this.showPlaying());
    player.audio.addEventListener("ended", () => {
      if (!this.recording || this.recording.frame_count <= this.taken) return;
      this.take(this.taken / this.recording.sample_rate);
      player.play();
    });
    wave.addEventListener("sought", (event) => this.seek(/** @type {CustomEvent<number>} */ (event).detail));
    wave.addEventListener("marked", () => this.marked(wave.mark));
    wave.addEventListener("looked", () => {
      this.showWindow();
      this.dispatchEvent(new Event("looked"));
    });
    this.editor.addEventListener("edited", (event) => {
      const { detail } = /** @type {CustomEvent<import("./shapes.js").Recording>} */ (event);
      if (detail.id === this.recording?.id) this.showFacts(detail);
      this.dispatchEvent(new CustomEvent("edited", { detail }));
    });
    find("play", HTMLButtonElement).addEventListener("click", () => player.toggle());
    find("back", HTMLButtonElement).addEventListener("click", () => this.seek(this.moment - STEP_S * SECOND));
    find("forward", HTMLButtonElement).addEventListener("click", () =>
      this.seek(this.moment + STEP_S * SECOND),
    );
    find("close-recording", HTMLButtonElement).addEventListener("click", () =>
      this.dispatchEvent(new Event("closed")),
    );
    const speed = find("speed", HTMLSelectElement);
    speed.addEventListener("change", () => {
      player.audio.defaultPlaybackRate = player.audio.playbackRate = Number(speed.value);
    });
    const volume = find("volume", HTMLInputElement);
    volume.addEventListener("input", () => {
      player.audio.volume = volume.valueAsNumber;
    });
  }

  /** Where the sound is, in microseconds since 1970 UTC. */
  get moment() {
    return this.recording ? parse(this.recording.started_at) + Math.round(this.player.position * SECOND) : 0;
  }

  /**
   * Opens a recording, at a moment.
   * @param {string} id
   * @param {number | null} at
   * @param {[number, number] | null} window what the close-up shows
   * @returns {Promise<import("./shapes.js").Recording | null>} null where something else was opened meanwhile
   */
  async open(id, at, window) {
    this.asking.abort();
    this.asking = new AbortController();
    const { signal } = this.asking;
    const recording = await askRecording(id, signal);
    if (signal.aborted) return null;
    const start = parse(recording.started_at);
    const cursor = at === null ? start : Math.min(Math.max(at, start), parse(recording.ended_at));
    this.recording = recording;
    this.section.dataset.recordingId = recording.id;
    this.section.dataset.ready = "false";
    this.section.hidden = this.about.hidden = false;
    this.overview?.remove();
    this.overview = null;
    this.showFacts(recording);
    this.editor.open(recording);
    this.drawing = this.drawOverview(recording, signal).catch(complain);
    this.take((cursor - start) / SECOND);
    this.wave.open(recording, cursor, window, this.drawing);
    find("download-whole", HTMLAnchorElement).href = audioAddress(id, { download: 1 });
    this.showPosition();
    this.showPlaying();
    gapsInside(id, signal).then((gaps) => this.wave.setGaps(gaps), complain);
    return recording;
  }

  /**
   * Gives the player the sound that there is.
   * @param {number} seconds where it begins
   */
  take(seconds) {
    const { recording } = this;
    if (!recording) return;
    this.taken = recording.frame_count;
    const version = recording.state === "recording" ? { frames: recording.frame_count } : {};
    this.player.load(audioAddress(recording.id, version), seconds, recording.seconds, this.drawing);
  }

  /**
   * Takes note that a recording has gone on.
   * @param {import("./shapes.js").Heard} heard
   */
  grow(heard) {
    const { recording, wave } = this;
    if (recording?.id !== heard.recording_id) return;
    recording.frame_count = heard.first_frame + heard.frame_count;
    recording.seconds = recording.frame_count / recording.sample_rate;
    recording.ended_at = heard.ended_at;
    wave.grow();
    this.showFacts(recording);
    if (recording.seconds > this.drawn * GROWS)
      this.drawOverview(recording, this.asking.signal).catch(complain);
    else this.showWindow();
    if (!this.player.playing) this.showPosition();
  }

  /** Asks again for a recording that was being made, and is no more. */
  async settle() {
    const { recording } = this;
    if (recording?.state !== "recording") return;
    const settled = await askRecording(recording.id, this.asking.signal);
    if (this.recording !== recording) return;
    Object.assign(recording, settled);
    this.showFacts(recording);
  }

  /**
   * @param {import("./shapes.js").Recording} recording
   * @param {AbortSignal} signal
   */
  async drawOverview(recording, signal) {
    const container = find("overview", HTMLElement);
    this.drawn = recording.seconds;
    if (recording.frame_count === 0) return container.replaceChildren();
    const width = Math.min(2000, Math.max(100, container.clientWidth));
    const peaks = await askPeaks(recording.id, { start: 0, stop: recording.frame_count, width }, signal);
    if (signal.aborted) return;
    const overview = await Overview.of(container, this.player.audio, peaks, recording.seconds);
    if (signal.aborted) return overview.remove();
    this.overview?.remove();
    this.overview = overview;
    overview.addEventListener("marked", (event) => {
      const { start, end } = /** @type {CustomEvent<import("./overview.js").Frame>} */ (event).detail;
      const at = (/** @type {number} */ seconds) =>
        parse(recording.started_at) + Math.round(seconds * SECOND);
      this.marked([at(start), at(end)]);
    });
    this.showWindow();
    this.setMark(this.mark);
    this.section.dataset.ready = "true";
    performance.mark("waveform");
  }

  /** Brings the recording into sight, if it is not; who came from the list goes on from its heading. */
  reveal() {
    const { top, bottom } = this.section.getBoundingClientRect();
    const focused = document.activeElement;
    if (focused instanceof HTMLElement && focused.dataset.recordingId)
      this.title.focus({ preventScroll: true });
    if (top < 0 || bottom > innerHeight) {
      this.section.scrollIntoView({ block: bottom - top > innerHeight || top < 0 ? "start" : "nearest" });
    }
  }

  close() {
    this.asking.abort();
    this.recording = null;
    this.player.unload();
    this.overview?.remove();
    this.overview = null;
    this.section.hidden = this.about.hidden = true;
  }

  /** @param {import("./shapes.js").Recording} recording */
  showFacts(recording) {
    const start = parse(recording.started_at);
    this.title.textContent = recording.title ?? `${recording.source}, ${clock(start)}`;
    const stop = parse(recording.ended_at);
    const end = dateField(start) === dateField(stop) ? clock(stop) : moment(stop);
    const when = find("recording-when", HTMLElement);
    when.textContent = `${moment(start)} to ${end}, ${lasting(Math.round(recording.seconds * SECOND))}, ${stateWords(recording.state)}`;
    when.title = utc(start);
    showFacts(find("facts", HTMLElement), recording);
  }

  /** @param {number} us */
  seek(us) {
    const { recording } = this;
    if (!recording) return;
    const seconds = Math.min(Math.max(0, (us - parse(recording.started_at)) / SECOND), recording.seconds);
    if (seconds * recording.sample_rate <= this.taken) {
      this.player.seek(seconds);
      return;
    }
    const { playing } = this.player;
    this.take(seconds);
    if (playing) this.player.play();
  }

  /** @param {[number, number] | null} mark */
  marked(mark) {
    this.setMark(mark);
    this.dispatchEvent(new CustomEvent("marked", { detail: mark }));
  }

  /** @param {[number, number] | null} mark */
  setMark(mark) {
    this.mark = mark;
    this.wave.setMark(mark);
    this.overview?.showMark(mark && this.inside(mark));
  }

  showWindow() {
    const { from, to } = this.wave.viewport;
    const { first, last } = this.wave.viewport.bounds;
    this.overview?.showWindow(to - from < 0.98 * (last - first) ? this.inside([from, to]) : null);
  }

  /**
   * Returns the part of a stretch that lies in the recording, in seconds from its start.
   * @param {[number, number]} stretch
   */
  inside([from, to]) {
    const { first, last } = this.wave.viewport.bounds;
    if (to <= first || from >= last) return null;
    return { start: Math.max(0, (from - first) / SECOND), end: (Math.min(to, last) - first) / SECOND };
  }

  showPosition() {
    if (!this.recording) return;
    const seconds = this.player.position;
    const output = find("position", HTMLOutputElement);
    output.textContent = `${position(seconds, 1)} / ${position(this.recording.seconds)}`;
    output.dataset.seconds = String(seconds);
    const at = find("position-clock", HTMLElement);
    at.textContent = clock(this.moment);
    at.title = utc(this.moment);
    this.wave.moveTo(this.moment, this.player.playing);
    this.dispatchEvent(new Event("moved"));
  }

  showPlaying() {
    const button = find("play", HTMLButtonElement);
    const { playing } = this.player;
    const label = playing ? "Pause" : "Play";
    if (button.getAttribute("aria-label") === label) return;
    button.setAttribute("aria-label", label);
    button.title = `${label} (Space)`;
    button.textContent = playing ? "❚❚" : "▶";
    if (this.recording)
      say(playing ? `Playing from ${clock(this.moment)}.` : `Stopped at ${clock(this.moment)}.`);
  }
}
