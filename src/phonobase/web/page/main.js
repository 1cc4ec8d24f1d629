// The page: what the reader looks at, and what follows from it.

import {
  gaps as askGaps,
  recording as askRecording,
  recordings as askRecordings,
  status as askStatus,
  doorbell,
  Refusal,
} from "./api.js";
import { look } from "./causes.js";
import { find, passed, settled, show } from "./dom.js";
import { Listening } from "./listen.js";
import { Marks, readMoment, readStretch, writeStretch } from "./marks.js";
import { RecordingView } from "./recording.js";
import { go, journey, note, place } from "./route.js";
import { allIsWell, complain, say } from "./say.js";
import { Search } from "./search.js";
import { startSession } from "./session.js";
import { startShortcuts } from "./shortcuts.js";
import { Sources } from "./sources.js";
import { startTheme } from "./theme.js";
import {
  clock,
  DAY,
  dateField,
  fromFields,
  HOUR,
  iso,
  lasting,
  midnight,
  moment,
  now,
  offset,
  parse,
  SECOND,
  ZONE,
} from "./time.js";
import { Timeline } from "./timeline.js";

const NOTES_MS = 400;
/** So long, at most, a recording is drawn before all the rest is asked for. */
const DRAWS_MS = 700;

startTheme();
const sources = new Sources();
const timeline = new Timeline();
const view = new RecordingView();
const search = new Search();
const marks = new Marks(() => (view.recording ? view.moment : timeline.cursor));
const listening = new Listening(async (source) => {
  const doing = (await askStatus()).find((status) => status.source === source && status.recording);
  return doing ? askRecording(doing.recording_id) : null;
});

/**
 * What is opened before the sources are asked for.
 * @type {{id: string, at: string | null, opening: ReturnType<typeof view.open>} | null}
 */
let foreseen = null;

/** Opens the recording that the address names, and waits for a while until it is drawn. */
async function foresee() {
  const here = place();
  if (here.recording === null) return;
  const opening = view.open(here.recording, readMoment(here.at), readStretch(here.window));
  foreseen = { id: here.recording, at: here.at, opening };
  const drawn = opening.then(() => view.drawing).catch(() => {}); // whoever arrives there says why it is not
  await Promise.race([drawn, passed(DRAWS_MS)]);
}

/** Shows the place that the address names. */
async function arrive() {
  const here = place();
  const wanted = here.source && sources.about(here.source)?.name;
  const source = wanted ?? sources.known.find((each) => each.recording)?.name ?? sources.known[0]?.name;
  if (source === undefined) return openRecording();
  if (here.source && !wanted) {
    if (here.recording === null) {
      complain(new Error(`There is no source ${here.source}, or you may not know of it; this is ${source}.`));
      note({ source, from: null, to: null, mark: null });
    } else note({ source: null, from: null, to: null }); // it has one of its own
    return arrive();
  }
  chooseSource(source);
  const [from, to] = [readMoment(here.from), readMoment(here.to)];
  if (from !== null && to !== null && from < to) timeline.viewport.set(from, to);
  else if (timeline.viewport.from === 0) timeline.show(DAY, lastHeard(source));
  if (search.conditions !== (here.find ?? "")) {
    search.conditions = here.find;
    search.again(false);
  }
  marks.set(readStretch(here.mark));
  await openRecording();
}

/** @param {string} source */
function chooseSource(source) {
  if (listening.source !== null && listening.source !== source) listening.stop();
  sources.choose(source);
  timeline.choose(source);
  search.choose(source);
  marks.choose(source);
  find("timeline-heading", HTMLElement).textContent = source;
  document.title = `${source} · phonobase`;
  showLive();
}

/** @param {string} source */
function lastHeard(source) {
  const heard = sources.about(source)?.last_heard_at;
  return heard ? parse(heard) - 1 : now();
}

async function openRecording() {
  const here = place();
  const early = foreseen?.id === here.recording ? foreseen : null;
  foreseen = null;
  search.choice(here.recording);
  timeline.recording = here.recording;
  timeline.draw();
  if (here.recording === null) {
    view.close();
    return;
  }
  const at = readMoment(here.at);
  if (!early && view.recording?.id === here.recording) {
    if (view.recording.source !== timeline.source) chooseSource(view.recording.source);
    if (at !== null && Math.abs(at - view.moment) > SECOND / 100) view.seek(at);
    return;
  }
  const opening = early?.opening ?? view.open(here.recording, at, readStretch(here.window));
  const recording = await opened(opening);
  if (!recording) return;
  if (early && early.at !== here.at && at !== null) view.seek(at);
  // An address may name the recording alone.
  if (recording.source !== timeline.source) chooseSource(recording.source);
  timeline.cursor = view.moment;
  const { from, to } = timeline.viewport;
  if (view.moment < from || view.moment > to) timeline.show(timeline.viewport.length, view.moment);
  timeline.tell();
  view.setMark(marks.mark);
  view.reveal();
}

/**
 * Waits for a recording; one that is not there leaves none open, nor its id in the address.
 * @param {ReturnType<typeof view.open>} opening
 */
async function opened(opening) {
  try {
    return await opening;
  } catch (error) {
    if (!(error instanceof Refusal && (error.status === 404 || error.status === 422))) throw error;
    view.close();
    search.choice(null);
    timeline.recording = null;
    note({ recording: null, at: null, window: null });
    throw new Error("There is no such recording, or you may not know of it.");
  }
}

/**
 * Plays from a moment, or says why there is nothing to play.
 * @param {number} us
 * @param {boolean} [aloud] whether it plays at once
 */
async function playFrom(us, aloud = true) {
  const { source } = timeline;
  if (source === null) return;
  allIsWell();
  if (us >= now()) return say("That moment is still to come.");
  if (view.recording?.source === source && isInside(us, view.recording)) {
    view.seek(us);
    view.wave.viewport.reveal(us, 0.3);
    if (aloud) await view.player.play();
    return;
  }
  const { recordings } = await askRecordings({ source, heard_at: iso(us), limit: 1 });
  const [recording] = recordings;
  if (!recording) {
    say(await whyNothing(source, us));
    return;
  }
  noteNow();
  go({ recording: recording.id, at: iso(us), window: null });
  await arrive();
  if (aloud) await view.player.play();
}

/**
 * @param {number} us
 * @param {import("./shapes.js").Recording} recording
 */
const isInside = (us, recording) => us >= parse(recording.started_at) && us < parse(recording.ended_at);

/**
 * @param {string} source
 * @param {number} us
 */
async function whyNothing(source, us) {
  const found = await askGaps({ source, from: iso(us), to: iso(us + SECOND), unrecorded: true });
  const gap = found.find((each) => parse(each.started_at) <= us && us < parse(each.ended_at));
  if (!gap || gap.cause === "unrecorded") return `Nothing was recorded at ${clock(us)}.`;
  const length = lasting(parse(gap.ended_at) - parse(gap.started_at));
  return `Nothing is there at ${clock(us)}: ${look(gap.cause).words}, for ${length}.`;
}

function showLive() {
  const { source } = timeline;
  const live = source !== null && sources.openRecording(source) !== null;
  show(find("listen-live", HTMLElement), live || listening.source !== null);
}

/** Keeps the address true to what is shown. */
function noteNow() {
  if (timeline.source === null) return; // nobody has arrived yet
  const { from, to } = timeline.viewport;
  const { from: start, to: stop } = view.wave.viewport;
  const open = view.recording;
  note({
    source: timeline.source,
    from: iso(from),
    to: iso(to),
    at: open && iso(view.moment),
    window: open && writeStretch([start, stop]),
    mark: writeStretch(marks.mark),
    find: search.conditions,
  });
}

const noteLater = settled(NOTES_MS, noteNow);

function listen() {
  journey.addEventListener("moved", () => {
    allIsWell();
    arrive().catch(complain);
  });
  sources.addEventListener("known", () => {
    if (timeline.source === null) arrive().catch(complain);
    const open = view.recording;
    if (open && sources.openRecording(open.source) !== open.id) view.settle().catch(complain);
    showLive();
  });
  sources.addEventListener("heard", (event) => {
    const heard = /** @type {CustomEvent<import("./shapes.js").Heard>} */ (event).detail;
    view.grow(heard);
    showLive();
    if (timeline.viewport.to >= now() - HOUR / 60) timeline.fetchSoon();
  });
  timeline.addEventListener("chosen", () => playFrom(timeline.cursor).catch(complain));
  timeline.addEventListener("marked", () => marks.set(timeline.mark));
  timeline.viewport.addEventListener("changed", noteLater);
  view.addEventListener("moved", () => {
    timeline.cursor = view.moment;
    timeline.draw();
    noteLater();
  });
  view.addEventListener("looked", noteLater);
  view.addEventListener("marked", (event) => marks.set(/** @type {CustomEvent} */ (event).detail));
  view.addEventListener("closed", () => {
    noteNow();
    go({ recording: null, at: null, window: null });
    arrive().catch(complain);
    timeline.surface.focus();
  });
  view.addEventListener("edited", () => {
    if (timeline.source !== null) search.fetch();
  });
  doorbell.addEventListener("signed-out", () => {
    view.player.pause();
    listening.stop();
  });
  marks.addEventListener("changed", () => {
    timeline.setMark(marks.mark, false);
    view.setMark(marks.mark);
    noteLater();
  });
  marks.addEventListener("play", () => playStretch().catch(complain));
  search.addEventListener("searched", noteLater);
  find("alert-close", HTMLButtonElement).addEventListener("click", () => allIsWell());
  find("timeline-today", HTMLButtonElement).addEventListener("click", () => timeline.show(DAY, now()));
  find("copy-link", HTMLButtonElement).addEventListener("click", () => copyLink().catch(complain));
  find("listen-live", HTMLButtonElement).addEventListener("click", () => listenLive());
  find("go-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    goTo().catch(complain);
  });
}

async function playStretch() {
  const { mark } = marks;
  if (!mark) return;
  await playFrom(mark[0], false);
  await view.player.play((mark[1] - parse(view.recording?.started_at ?? iso(mark[0]))) / SECOND);
}

async function goTo() {
  allIsWell();
  const us = fromFields(
    find("go-date", HTMLInputElement).value,
    find("go-time", HTMLInputElement).value || "00:00",
  );
  if (Number.isNaN(us)) throw new Error("Write a day, and a time of day if you like.");
  if (!find("go-time", HTMLInputElement).value) {
    timeline.show(DAY, us);
    say(`This is ${moment(us)}.`);
    return;
  }
  timeline.cursor = us;
  timeline.viewport.set(us - HOUR / 2, us + HOUR / 2);
  await playFrom(us, false);
  find(view.recording ? "play" : "timeline", HTMLElement).focus();
}

async function copyLink() {
  note({ at: iso(view.moment), mark: writeStretch(marks.mark) });
  await navigator.clipboard.writeText(location.href);
  allIsWell();
  say("The link is copied.");
}

function listenLive() {
  const { source } = timeline;
  if (source === null) return;
  if (listening.source === null && sources.openRecording(source) === null) {
    say(`Nothing is being recorded at ${source} now.`);
    return;
  }
  view.player.pause();
  listening.toggle(source).then(showLive, complain);
}

const playing = () => view.recording !== null;
const zoomed = () => (document.activeElement === timeline.surface || !playing() ? timeline : view.wave);

listen();
startShortcuts({
  " ": () => (playing() ? view.player.toggle() : playFrom(timeline.cursor).catch(complain)),
  ArrowLeft: () => view.seek(view.moment - 5 * SECOND),
  ArrowRight: () => view.seek(view.moment + 5 * SECOND),
  "+": () => zoomed().viewport.zoom(0.5, zoomed().middle),
  "-": () => zoomed().viewport.zoom(2, zoomed().middle),
  "[": () => marks.here("start"),
  "]": () => marks.here("stop"),
  Escape: () => marks.set(null),
  g: () => find("go-date", HTMLInputElement).focus(),
  "/": () => find("find-text", HTMLInputElement).focus(),
  l: () => listenLive(),
});
find("zone", HTMLElement).textContent = `${ZONE.replaceAll("_", " ")}, ${offset(now())}`;
find("go-date", HTMLInputElement).value = dateField(midnight(now(), -1));
startSession(async (who) => {
  view.editor.allow(who.scope !== "read");
  await foresee();
  sources.start();
});
