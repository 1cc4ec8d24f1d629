// Sound that comes in pieces, played without a seam, and not later than it must be.

const LEAD_S = 0.1;
/** So much sound is in store whenever a piece comes, where all goes well; the archive begins with it. */
const SPARE_S = 0.5;
/** With more than this in store every time, some of what comes is left out. */
const TOO_MUCH_S = 0.9;
const LOOKS_BACK = 3;

/** Plays pieces one behind the other. */
export class Queue {
  /** @param {number} sampleRate that of the sound: pieces that were converted would not fit together */
  constructor(sampleRate) {
    this.context = new AudioContext({ sampleRate, latencyHint: "interactive" });
    /** When the sound in store ends, by the context's clock. */
    this.end = 0;
    /** Whether anything was played since begin(). */
    this.begun = false;
    /** When what comes first would best be played, by the page's clock: the context's may stand still at first. */
    this.due = 0;
    /** What was in store when the last pieces came, in seconds. @type {number[]} */
    this.stores = [];
  }

  /**
   * Says that what comes next is as old now as it may be. What grows older until it can be played is left out:
   * before anything is played nobody misses it.
   */
  begin() {
    this.due = performance.now() / 1000 + Math.max(this.end - this.context.currentTime, LEAD_S);
    this.begun = false;
    this.stores = [];
  }

  /** @param {Blob} piece a file */
  async add(piece) {
    const buffer = await this.context.decodeAudioData(await piece.arrayBuffer());
    const skip = Math.min(this.wholeFrames(this.begun ? this.surplus() : this.age()), buffer.duration);
    if (skip < buffer.duration) {
      const node = this.context.createBufferSource();
      node.buffer = buffer;
      node.connect(this.context.destination);
      node.start(this.end, skip);
      this.begun = true;
    } else this.due += buffer.duration;
    this.end += buffer.duration - skip;
  }

  /** Returns how much has grown too old since begin(), in seconds. */
  age() {
    this.end = Math.max(this.end, this.soon());
    return Math.max(performance.now() / 1000 + LEAD_S - this.due, 0);
  }

  /** Returns how much is to be left out so that it does not stay too far behind, in seconds. */
  surplus() {
    const store = this.end - this.context.currentTime;
    if (store < 0) this.end = this.soon();
    this.stores = store < 0 ? [] : [...this.stores, store].slice(-LOOKS_BACK);
    const least = this.stores.length ? Math.min(...this.stores) : 0;
    if (least <= TOO_MUCH_S) return 0;
    this.stores = [];
    return least - SPARE_S;
  }

  /** Returns the earliest time at which something can be played for sure. */
  soon() {
    return this.wholeFrames(this.context.currentTime + LEAD_S);
  }

  /** @param {number} seconds that a piece may begin at: between two frames it would be resampled */
  wholeFrames(seconds) {
    return Math.round(seconds * this.context.sampleRate) / this.context.sampleRate;
  }

  stop() {
    this.context.close().catch(() => {});
  }
}
