// Sound that comes in as it is recorded, cut into files that a browser decodes: each the header and what came.

import { headerLength, wholeFrames } from "./flac.js";

const RIFF_DATA = 0x64617461;
const WAV_BLOCK_AT = 32;

/**
 * Yields a file for every part of a stream that can be decoded.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream of FLAC or WAV
 * @returns {AsyncGenerator<Blob>}
 */
export async function* parts(stream) {
  const reader = stream.getReader();
  let pending = new Uint8Array();
  /** @type {Uint8Array<ArrayBuffer> | null} */
  let header = null;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      pending = joined(pending, value);
      const isFlac = (header ?? pending)[0] === "f".charCodeAt(0);
      if (header === null) {
        const length = isFlac ? headerLength(pending) : wavHeaderLength(pending);
        if (length === null) continue;
        header = pending.slice(0, length);
        pending = pending.slice(length);
      }
      const whole = isFlac ? wholeFrames(pending) : wholeBlocks(header, pending);
      if (whole === 0) continue;
      yield new Blob([isFlac ? header : sized(header, whole), pending.slice(0, whole)]);
      pending = pending.slice(whole);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** @type {(first: Uint8Array<ArrayBuffer>, second: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>} */
function joined(first, second) {
  if (first.length === 0) return second;
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
function wavHeaderLength(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 12;
  while (at + 8 <= bytes.length) {
    if (view.getUint32(at) === RIFF_DATA) return at + 8;
    at += 8 + view.getUint32(at + 4, true);
  }
  return null;
}

/**
 * @param {Uint8Array<ArrayBuffer>} header
 * @param {Uint8Array} bytes
 */
function wholeBlocks(header, bytes) {
  const block = new DataView(header.buffer).getUint16(WAV_BLOCK_AT, true) || 1;
  return bytes.length - (bytes.length % block);
}

/**
 * Returns a WAV's header with the size of its data.
 * @param {Uint8Array<ArrayBuffer>} header
 * @param {number} size
 */
function sized(header, size) {
  const copy = header.slice();
  const view = new DataView(copy.buffer);
  view.setUint32(0, 0x52494646);
  view.setUint32(4, header.length - 8 + size, true);
  view.setUint32(header.length - 4, size, true);
  return copy;
}
