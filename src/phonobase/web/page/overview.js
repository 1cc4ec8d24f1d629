// The whole recording as one waveform, from the peaks that the archive keeps: no audio is fetched for it.

import WaveSurfer from "wavesurfer.js";
import Regions from "wavesurfer.js/plugins/regions";
import { colour, colours } from "./theme.js";

const HEIGHT_PX = 56;

/**
 * @typedef {object} Frame
 * @property {number} start in seconds
 * @property {number} end
 */

/** The waveform of all of a recording. It dispatches "marked" with the seconds of a stretch as its detail. */
export class Overview extends EventTarget {
  /**
   * @param {HTMLElement} container
   * @param {HTMLAudioElement} audio what plays; it shows where, and seeks
   * @param {WaveSurfer} waves
   * @param {ReturnType<typeof Regions.create>} regions
   */
  constructor(container, audio, waves, regions) {
    super();
    this.container = container;
    this.audio = audio;
    this.waves = waves;
    this.regions = regions;
    this.recolour = () => this.waves.setOptions(paints());
    colours.addEventListener("changed", this.recolour);
    /** @type {import("wavesurfer.js/plugins/regions").Region | null} */
    this.window = null;
    /** @type {import("wavesurfer.js/plugins/regions").Region | null} */
    this.mark = null;
  }

  /**
   * Draws a recording.
   * @param {HTMLElement} container
   * @param {HTMLAudioElement} audio
   * @param {import("./shapes.js").Peaks} peaks
   * @param {number} duration in seconds
   */
  static async of(container, audio, peaks, duration) {
    container.replaceChildren();
    const regions = Regions.create();
    const waves = WaveSurfer.create({
      container,
      media: audio,
      peaks: peaks.peaks,
      duration,
      height: HEIGHT_PX,
      cursorWidth: 2,
      hideScrollbar: true,
      normalize: true,
      cspNonce: document.getElementById("style-nonce")?.nonce ?? "",
      plugins: [regions],
      ...paints(),
    });
    const overview = new Overview(container, audio, waves, regions);
    await new Promise((resolve) => waves.once("ready", resolve));
    regions.enableDragSelection({ color: colour("--mark-fill") });
    regions.on("region-created", (region) => {
      if (region.id === "mark" || region.id === "window") return;
      const detail = { start: region.start, end: region.end };
      region.remove();
      overview.dispatchEvent(new CustomEvent("marked", { detail }));
    });
    return overview;
  }

  /**
   * Shows what the close-up shows.
   * @param {Frame | null} frame
   */
  showWindow(frame) {
    this.window?.remove();
    this.window = frame && this.add("window", frame, "--window");
  }

  /**
   * Shows the marked stretch.
   * @param {Frame | null} frame
   */
  showMark(frame) {
    this.mark?.remove();
    this.mark = frame && this.add("mark", frame, "--mark-fill");
    // The edges say where it is; what lies between stays as it is to be seen.
    if (this.mark?.element) this.mark.element.style.borderInline = `2px solid ${colour("--mark")}`;
  }

  /**
   * @param {string} id
   * @param {Frame} frame
   * @param {string} paint
   */
  add(id, { start, end }, paint) {
    const region = this.regions.addRegion({
      id,
      start,
      end,
      color: colour(paint),
      drag: false,
      resize: false,
    });
    // Clicks and drags are for the waveform below it.
    if (region.element) {
      region.element.style.pointerEvents = "none";
      region.element.style.minWidth = "2px";
    }
    return region;
  }

  remove() {
    colours.removeEventListener("changed", this.recolour);
    this.waves.destroy();
  }
}

const paints = () => ({
  waveColor: colour("--wave"),
  progressColor: colour("--wave-played"),
  cursorColor: colour("--cursor"),
});
