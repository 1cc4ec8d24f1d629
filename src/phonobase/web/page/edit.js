// What people say of a recording: its title, notes and tags, changed in place by who may.

import { edit as askEdit } from "./api.js";
import { find, show } from "./dom.js";
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

/**
 * Returns a recording's title, notes and tags as the fields have them; a text area has no other line ends.
 * @param {import("./shapes.js").Recording} recording
 */
const texts = ({ title, notes, tags }) => [
  title ?? "",
  (notes ?? "").replace(/\r\n?/g, "\n"),
  tagsText(tags),
];

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

const DRAFT = "phonobase-draft-";

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
    this.form.addEventListener("input", () => this.keep());
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
    const draft = sessionStorage.getItem(DRAFT + recording.id);
    [this.title.value = "", this.notes.value = "", this.tags.value = ""] = draft
      ? JSON.parse(draft)
      : texts(recording);
    this.keep();
  }

  /** Keeps what is written and not saved, until it is: also while something else is open. */
  keep() {
    const { recording } = this;
    if (!recording) return;
    const written = JSON.stringify([this.title.value, this.notes.value, this.tags.value]);
    const unsaved = written !== JSON.stringify(texts(recording));
    if (unsaved) sessionStorage.setItem(DRAFT + recording.id, written);
    else sessionStorage.removeItem(DRAFT + recording.id);
    show(find("edit-unsaved", HTMLElement), unsaved);
  }

  /**
   * Returns what is to be changed: only that, as others may have changed the rest.
   * @param {import("./shapes.js").Recording} recording
   */
  changes(recording) {
    const [title, notes] = texts(recording);
    const tags = Object.entries(readTags(this.tags.value));
    const untag = Object.keys(recording.tags).filter((name) => !tags.some(([kept]) => kept === name));
    const set = tags.filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(recording.tags[name]),
    );
    return {
      ...(this.title.value !== title && { title: this.title.value || null }),
      ...(this.notes.value !== notes && { notes: this.notes.value || null }),
      ...(set.length && { tags: Object.fromEntries(set) }),
      ...(untag.length && { untag }),
    };
  }

  async save() {
    const recording = this.recording;
    if (!recording) return;
    try {
      const changes = this.changes(recording);
      if (Object.keys(changes).length === 0) {
        allIsWell("edit");
        return say("Nothing is to be saved.");
      }
      const edited = await askEdit(recording.id, changes);
      sessionStorage.removeItem(DRAFT + edited.id);
      if (this.recording?.id === edited.id) this.open(edited);
      allIsWell("edit");
      say("Saved.");
      this.dispatchEvent(new CustomEvent("edited", { detail: edited }));
    } catch (error) {
      complain(error, "edit");
    }
  }
}
