// What the archive itself says of a recording, in words.

import { make } from "./dom.js";
import { lasting, moment, parse, SECOND, utc } from "./time.js";

const STATES = {
  recording: "being recorded",
  complete: "complete",
  interrupted: "interrupted: it ends where the sound broke off",
};
const number = new Intl.NumberFormat("en-GB");

/**
 * Returns a state in words.
 * @param {import("./shapes.js").Recording["state"]} state
 */
export const stateWords = (state) => STATES[state];

/**
 * Returns a level in words.
 * @param {number | null} dbfs
 */
export const levelWords = (dbfs) => (dbfs === null ? "silence" : `${dbfs.toFixed(1)} dB`);

/**
 * Returns a size in words.
 * @param {number} bytes
 */
export function sizeWords(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${number.format(Number((bytes / 1000 ** step).toPrecision(3)))} ${units[step]}`;
}

/**
 * Shows a recording's facts.
 * @param {HTMLElement} list
 * @param {import("./shapes.js").Recording} recording
 */
export function showFacts(list, recording) {
  const { channels, clipped_frames: clipped } = recording;
  const sides = channels === 1 ? "one channel" : channels === 2 ? "stereo" : `${channels} channels`;
  /** @type {[string, string, string?][]} */
  const facts = [
    ["Source", recording.source],
    ["Begins", moment(parse(recording.started_at), 3), utc(parse(recording.started_at))],
    ["Ends", moment(parse(recording.ended_at), 3), utc(parse(recording.ended_at))],
    [
      "Length",
      lasting(Math.round(recording.seconds * SECOND)),
      `${number.format(recording.frame_count)} frames`,
    ],
    ["State", STATES[recording.state]],
    [
      "Loudest",
      `${levelWords(recording.peak_dbfs)}${clipped ? `, overdriven in ${number.format(clipped)} places` : ""}`,
    ],
    ["On average", levelWords(recording.rms_dbfs)],
    ["Sound", `${number.format(recording.sample_rate)} Hz, ${sides}, ${recording.encoding.toUpperCase()}`],
    ["Size", sizeWords(recording.file_bytes)],
    ["Number", recording.id],
  ];
  if (recording.external_id) facts.push(["Called elsewhere", recording.external_id]);
  list.replaceChildren(
    ...facts.map(([name, value, title]) =>
      make("div", {}, make("dt", {}, name), make("dd", { title: title ?? null }, value)),
    ),
  );
}
