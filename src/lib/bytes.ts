/** Small operations on byte arrays and text, the same on every platform. */

const ENCODER = new TextEncoder();
const STRICT_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const chunk of chunks) length += chunk.length;
  const whole = new Uint8Array(length);
  let place = 0;
  for (const chunk of chunks) {
    whole.set(chunk, place);
    place += chunk.length;
  }
  return whole;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let place = 0; place < a.length; place += 1) if (a[place] !== b[place]) return false;
  return true;
}

/** As unsigned bytes, a prefix before what it begins: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let place = 0; place < shared; place += 1) {
    const difference = (a[place] as number) - (b[place] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function utf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}

/** Up to here a loop over ASCII beats the platform's decoder, whose every call has a price. */
const SHORT_TEXT_BYTES = 32;

/** The text, or undefined where the bytes are not UTF-8. */
export function text(bytes: Uint8Array): string | undefined {
  if (bytes.length <= SHORT_TEXT_BYTES) {
    const short = asciiText(bytes);
    if (short !== undefined) return short;
  }
  try {
    return STRICT_DECODER.decode(bytes);
  } catch {
    return undefined;
  }
}

function asciiText(bytes: Uint8Array): string | undefined {
  let characters = "";
  for (let place = 0; place < bytes.length; place += 1) {
    const byte = bytes[place] as number;
    if (byte >= 0x80) return undefined;
    characters += String.fromCharCode(byte);
  }
  return characters;
}

export function hex(bytes: Uint8Array): string {
  let digits = "";
  for (const byte of bytes) digits += byte.toString(16).padStart(2, "0");
  return digits;
}

/** What `hex` made of bytes; undefined for anything else. */
export function unhex(digits: string): Uint8Array | undefined {
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) return undefined;
  const bytes = new Uint8Array(digits.length / 2);
  for (let place = 0; place < bytes.length; place += 1)
    bytes[place] = Number.parseInt(digits.slice(place * 2, place * 2 + 2), 16);
  return bytes;
}

/** 64 bits as 16 digits, as hashes are shown: no number of JSON holds them. */
export function hex64(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

/** Little-endian. Without a `DataView`, which would cost more than the rest of a small batch or frame. */
export function readU32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at + 3] as number) << 8) | (bytes[at + 2] as number);
  return ((high << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at] as number)) >>> 0;
}

/** Little-endian, likewise. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** Reused: one view for all that is read. */
const EIGHT = new DataView(new ArrayBuffer(8));

/** Little-endian, likewise. */
export function readU64(bytes: Uint8Array, at: number): bigint {
  EIGHT.setUint32(0, readU32(bytes, at), true);
  EIGHT.setUint32(4, readU32(bytes, at + 4), true);
  return EIGHT.getBigUint64(0, true);
}
