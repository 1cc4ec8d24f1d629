// The stretch of time that is looked at: zoomed about a moment, moved, and kept within its bounds.

/**
 * @typedef {object} Bounds
 * @property {number} least shortest stretch, in microseconds
 * @property {number} most longest stretch
 * @property {number} first nothing before this is shown
 * @property {number} last nothing behind this is shown
 */

/** Dispatches "changed" whenever another stretch is looked at. */
export class Viewport extends EventTarget {
  /** @param {Bounds} bounds */
  constructor(bounds) {
    super();
    this.bounds = bounds;
    this.from = 0;
    this.to = bounds.least;
  }

  /** How long the stretch is, in microseconds. */
  get length() {
    return this.to - this.from;
  }

  /**
   * Looks at a stretch, or at the nearest one within the bounds.
   * @param {number} from
   * @param {number} to
   */
  set(from, to) {
    const { least, most, first, last } = this.bounds;
    const length = Math.round(Math.min(Math.max(to - from, least), most, last - first));
    const middle = (from + to) / 2;
    const start = Math.round(Math.min(Math.max(middle - length / 2, first), last - length));
    if (start === this.from && start + length === this.to) return;
    this.from = start;
    this.to = start + length;
    this.dispatchEvent(new Event("changed"));
  }

  /**
   * Makes the stretch longer or shorter; the moment stays where it is.
   * @param {number} factor above 1: longer
   * @param {number} [about]
   */
  zoom(factor, about = (this.from + this.to) / 2) {
    const { least, most, first, last } = this.bounds;
    const length = Math.min(Math.max(this.length * factor, least), most, last - first);
    const share = (about - this.from) / this.length;
    this.set(about - share * length, about + (1 - share) * length);
  }

  /**
   * Moves the stretch.
   * @param {number} shares of its length; below 0: earlier
   */
  pan(shares) {
    this.set(this.from + shares * this.length, this.to + shares * this.length);
  }

  /**
   * Moves the stretch so that it holds a moment, if it does not.
   * @param {number} moment
   * @param {number} [share] where the moment is then
   */
  reveal(moment, share = 0.5) {
    if (moment >= this.from && moment <= this.to) return;
    const from = moment - share * this.length;
    this.set(from, from + this.length);
  }

  /**
   * Returns where a moment is drawn.
   * @param {number} moment
   * @param {number} width in pixels
   */
  x(moment, width) {
    return ((moment - this.from) / this.length) * width;
  }

  /**
   * Returns the moment that is drawn at a place.
   * @param {number} x in pixels
   * @param {number} width in pixels
   */
  at(x, width) {
    return Math.round(this.from + (x / width) * this.length);
  }
}
