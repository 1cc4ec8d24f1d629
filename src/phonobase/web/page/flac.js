// Where the frames of a FLAC stream end, so that what has come of it can be decoded before the rest does.

const SYNC = 0xff;
const SYNC_NEXT = 0xf8;
const MARKER = 4;
/** Bytes of "fLaC", and of what stands before each block of metadata. */
const LEAST_HEADER = 6;
const MOST_HEADER = 16;

const CRC8 = table(8, 0x07);
const CRC16 = table(16, 0x8005);

/**
 * @param {8 | 16} bits
 * @param {number} polynomial
 */
function table(bits, polynomial) {
  const top = 1 << (bits - 1);
  const mask = (1 << bits) - 1;
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let value = byte << (bits - 8);
    for (let bit = 0; bit < 8; bit += 1) {
      value = value & top ? ((value << 1) ^ polynomial) & mask : (value << 1) & mask;
    }
    return value;
  });
}

/**
 * Returns how many bytes of a stream are its header; null while some of them are still to come.
 * @param {Uint8Array} bytes
 */
export function headerLength(bytes) {
  let at = MARKER;
  for (;;) {
    if (at + MARKER > bytes.length) return null;
    const [kind = 0, high = 0, middle = 0, low = 0] = bytes.subarray(at, at + MARKER);
    at += MARKER + high * 0x10000 + middle * 0x100 + low;
    if (kind & 0x80) return at <= bytes.length ? at : null;
  }
}

/**
 * Returns how many bytes, from the start of a frame on, are whole frames.
 * @param {Uint8Array} bytes
 */
export function wholeFrames(bytes) {
  let start = 0;
  for (let at = LEAST_HEADER; at < bytes.length; at += 1) {
    if (bytes[at] === SYNC && isFrameHeader(bytes, at) && isWhole(bytes, start, at)) start = at;
  }
  return isWhole(bytes, start, bytes.length) ? bytes.length : start;
}

/**
 * Returns whether a frame begins here; its header has a checksum of its own.
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function isFrameHeader(bytes, at) {
  if (((bytes[at + 1] ?? 0) & 0xfe) !== SYNC_NEXT) return false;
  let checksum = 0;
  for (let index = at; index < Math.min(at + MOST_HEADER, bytes.length); index += 1) {
    const byte = bytes[index] ?? 0;
    if (index >= at + LEAST_HEADER - 1 && checksum === byte) return true;
    checksum = CRC8[checksum ^ byte] ?? 0;
  }
  return false;
}

/**
 * Returns whether a stretch is a whole frame: then its checksum, which ends it, leaves nothing.
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} stop
 */
function isWhole(bytes, start, stop) {
  if (stop - start <= LEAST_HEADER) return false;
  let checksum = 0;
  for (let index = start; index < stop; index += 1) {
    checksum = ((checksum << 8) & 0xffff) ^ (CRC16[(checksum >> 8) ^ (bytes[index] ?? 0)] ?? 0);
  }
  return checksum === 0;
}
