// How hands and keys move about in a stretch of time; the same on the timeline and on the waveform.

import { eachFrame } from "./dom.js";

const STILL_PX = 4;
const WHEEL = 1.0018;
const WHEEL_LINE_PX = 16;

/**
 * @typedef {object} Hands
 * @property {"pan" | "mark"} drag what dragging does; with Shift it is the other
 * @property {(moment: number) => void} clicked
 * @property {(start: number, stop: number, done: boolean) => void} marked
 * @property {(moment: number | null) => void} [hovered]
 */

/**
 * Lets a pointer move about: wheel and pinch zoom, dragging pans or marks, a finger pans.
 * @param {HTMLElement} surface
 * @param {import("./viewport.js").Viewport} viewport
 * @param {Hands} hands
 */
export function pointers(surface, viewport, hands) {
  /** @type {Map<number, {x: number, start: number, moment: number, moved: boolean}>} */
  const down = new Map();
  const x = (/** @type {{clientX: number}} */ event) => event.clientX - surface.getBoundingClientRect().left;
  const at = (/** @type {{clientX: number}} */ event) => viewport.at(x(event), surface.clientWidth);

  surface.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const scale = event.deltaMode === 0 ? 1 : WHEEL_LINE_PX;
      const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
      if (Math.abs(sideways) > Math.abs(event.deltaY) || event.shiftKey) {
        viewport.pan((sideways * scale) / surface.clientWidth);
      } else {
        // A pinch on a touchpad arrives as a wheel with Ctrl and small steps.
        const strength = event.ctrlKey ? 5 : 1;
        viewport.zoom(WHEEL ** (event.deltaY * scale * strength), at(event));
      }
    },
    { passive: false },
  );

  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    surface.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: x(event), start: x(event), moment: at(event), moved: false });
  });

  surface.addEventListener("pointermove", (event) => {
    const held = down.get(event.pointerId);
    if (!held) {
      if (event.pointerType !== "touch") hands.hovered?.(at(event));
      return;
    }
    const before = held.x;
    held.x = x(event);
    held.moved ||= Math.abs(held.x - held.start) > STILL_PX;
    if (!held.moved) return;
    const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, each]) => each);
    if (other) {
      other.moved = true;
      const apart = Math.abs(before - other.x) / Math.max(1, Math.abs(held.x - other.x));
      viewport.zoom(apart, viewport.at((held.x + other.x) / 2, surface.clientWidth));
    } else if (pans(event)) {
      viewport.pan((before - held.x) / surface.clientWidth);
    } else {
      const [start, stop] = ordered(held.moment, at(event));
      hands.marked(start, stop, false);
    }
  });

  /** @param {PointerEvent} event */
  const pans = (event) => event.pointerType === "touch" || event.shiftKey !== (hands.drag === "pan");

  /** @param {PointerEvent} event */
  const up = (event) => {
    const held = down.get(event.pointerId);
    down.delete(event.pointerId);
    if (!held || event.type === "pointercancel") return;
    if (!held.moved) hands.clicked(at(event));
    else if (!pans(event) && down.size === 0) {
      const [start, stop] = ordered(held.moment, at(event));
      hands.marked(start, stop, true);
    }
  };
  surface.addEventListener("pointerup", up);
  surface.addEventListener("pointercancel", up);
  surface.addEventListener("pointerleave", () => hands.hovered?.(null));
}

/** @type {(one: number, other: number) => [number, number]} */
const ordered = (one, other) => (one < other ? [one, other] : [other, one]);

/**
 * Lets keys move about where the focus is on the surface. Returns nothing; what a key does not mean here
 * goes on to the page.
 * @param {HTMLElement} surface
 * @param {import("./viewport.js").Viewport} viewport
 * @param {{cursor: () => number, moved: (moment: number) => void, entered?: (moment: number) => void,
 *   first: () => number, last: () => number}} hands
 */
export function keys(surface, viewport, hands) {
  const STEPS = 50;
  surface.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const cursor = hands.cursor();
    const step = viewport.length / STEPS;
    /** @type {Record<string, () => void>} */
    const meant = {
      ArrowLeft: () => (event.shiftKey ? viewport.pan(-0.25) : hands.moved(cursor - step)),
      ArrowRight: () => (event.shiftKey ? viewport.pan(0.25) : hands.moved(cursor + step)),
      ArrowUp: () => viewport.zoom(0.5, cursor),
      ArrowDown: () => viewport.zoom(2, cursor),
      PageUp: () => hands.moved(cursor - viewport.length),
      PageDown: () => hands.moved(cursor + viewport.length),
      Home: () => hands.moved(hands.first()),
      End: () => hands.moved(hands.last()),
      Enter: () => hands.entered?.(cursor),
    };
    const act = meant[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

/**
 * Fits a canvas to its place on the screen, and calls for drawing whenever that changes.
 * @param {HTMLCanvasElement} canvas
 * @param {() => void} draw
 */
export function fitted(canvas, draw) {
  const soon = eachFrame(draw);
  new ResizeObserver(soon).observe(canvas);
  return soon;
}

/**
 * Returns a canvas's context, cleared, with CSS pixels as its unit.
 * @param {HTMLCanvasElement} canvas
 */
export function cleared(canvas) {
  const scale = devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}
