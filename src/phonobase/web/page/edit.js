// What people say of a recording: its title, notes and tags, changed in place by who may.

import { edit as askEdit } from "./api.js";
import { find } from "./dom.js";
import { allIsWell, complain, say } from "./say.js";

/**
 * Returns tags as lines; what is no text is written as JSON.
 * @param {Record<string, unknown>} tags
 * @param {string} [between]
 */
export const tagsText = (tags, between = "\n") =>
  Object.entries(tags)
    .map(([name, value]) => `${name}=${isPlain(value) ? value : JSON.stringify(value)}`)
    .join(between);

/** Whether a value is a text that is read as itself: "12" in quotes is one that is not. @param {unknown} value */
const isPlain = (value) => typeof value === "string" && tagValue(value) === value;

/**
 * Reads tags from lines; what is written as a JSON number, list, truth value or text in quotes is one.
 * @param {string} text
 * @param {string} [between]
 * @returns {Record<string, unknown>}
 */
export function readTags(text, between = "\n") {
  const tags = /** @type {Record<string, unknown>} */ ({});
  for (const line of text.split(between)) {
    const [name = "", ...rest] = line.split("=");
    if (!name.trim()) continue;
    if (rest.length === 0) throw new Error(`Write the tag "${line.trim()}" as name=value.`);
    tags[name.trim()] = tagValue(rest.join("=").trim());
  }
  return tags;
}

/** @param {string} text */
function tagValue(text) {
  if (!/^(-?\d|true$|false$|null$|\[|\{|")/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Dispatches "edited" with the recording as it is now. */
export class Editor extends EventTarget {
  constructor() {
    super();
    this.form = find("edit", HTMLFormElement);
    this.title = find("edit-title", HTMLInputElement);
    this.notes = find("edit-notes", HTMLTextAreaElement);
    this.tags = find("edit-tags", HTMLTextAreaElement);
    /** @type {import("./shapes.js").Recording | null} */
    this.recording = null;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
  }

  /** @param {boolean} may whether who is here may change anything */
  allow(may) {
    this.title.readOnly = this.notes.readOnly = this.tags.readOnly = !may;
    find("edit-save", HTMLButtonElement).hidden = !may;
    find("edit-read-only", HTMLElement).hidden = may;
  }

  /** @param {import("./shapes.js").Recording} recording */
  open(recording) {
    this.recording = recording;
    this.title.value = recording.title ?? "";
    this.notes.value = recording.notes ?? "";
    this.tags.value = tagsText(recording.tags);
  }

  async save() {
    const recording = this.recording;
    if (!recording) return;
    try {
      const tags = readTags(this.tags.value);
      const untag = Object.keys(recording.tags).filter((name) => !(name in tags));
      /** @type {Record<string, unknown>} */
      const changes = { title: this.title.value || null, notes: this.notes.value || null, tags };
      if (untag.length) changes.untag = untag;
      const edited = await askEdit(recording.id, changes);
      if (this.recording?.id === edited.id) this.open(edited);
      allIsWell("edit");
      say("Saved.");
      this.dispatchEvent(new CustomEvent("edited", { detail: edited }));
    } catch (error) {
      complain(error, "edit");
    }
  }
}
