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
    /** What was in store when the last pieces came, in seconds. @type {number[]} */
    this.stores = [];
  }

  /** @param {Blob} piece a file */
  async add(piece) {
    const buffer = await this.context.decodeAudioData(await piece.arrayBuffer());
    const { currentTime, destination } = this.context;
    const store = this.end - currentTime;
    if (store < 0) this.end = currentTime + LEAD_S;
    this.stores = store < 0 ? [] : [...this.stores, store].slice(-LOOKS_BACK);
    const least = this.stores.length ? Math.min(...this.stores) : 0;
    const skip = least > TOO_MUCH_S ? Math.min(least - SPARE_S, buffer.duration) : 0;
    if (skip) this.stores = [];
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(destination);
    node.start(this.end, skip);
    this.end += buffer.duration - skip;
  }

  stop() {
    this.context.close().catch(() => {});
  }
}
