/** Base64 (RFC 4648, section 4, with padding) on every platform alike: the ES library has none yet. */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING = "=";
const SIX_BITS = 63;
const NO_DIGIT = 255;
const ASCII = 128;

const DIGITS: Uint8Array = new Uint8Array(ASCII).fill(NO_DIGIT);
for (let value = 0; value < ALPHABET.length; value += 1) DIGITS[ALPHABET.charCodeAt(value)] = value;

export function toBase64(bytes: Uint8Array): string {
  let encoded = "";
  for (let place = 0; place < bytes.length; place += 3) {
    const left = bytes.length - place;
    const group = ((bytes[place] as number) << 16) | ((bytes[place + 1] ?? 0) << 8) | (bytes[place + 2] ?? 0);
    encoded += ALPHABET.charAt(group >>> 18) + ALPHABET.charAt((group >>> 12) & SIX_BITS);
    encoded += left > 1 ? ALPHABET.charAt((group >>> 6) & SIX_BITS) : PADDING;
    encoded += left > 2 ? ALPHABET.charAt(group & SIX_BITS) : PADDING;
  }
  return encoded;
}

/** Undefined where the text is anything but the one encoding of some bytes: whitespace, no padding, stray bits. */
export function fromBase64(encoded: string): Uint8Array | undefined {
  if (encoded.length % 4 !== 0) return undefined;
  const padding = encoded.endsWith("==") ? 2 : encoded.endsWith(PADDING) ? 1 : 0;
  const bytes = new Uint8Array((encoded.length / 4) * 3 - padding);
  const digits = encoded.length - padding;
  let held = 0;
  let heldBits = 0;
  let place = 0;
  for (let index = 0; index < digits; index += 1) {
    const code = encoded.charCodeAt(index);
    const digit = code < ASCII ? (DIGITS[code] as number) : NO_DIGIT;
    if (digit === NO_DIGIT) return undefined;
    held = ((held << 6) | digit) & 0xffff;
    heldBits += 6;
    if (heldBits < 8) continue;
    heldBits -= 8;
    bytes[place] = held >>> heldBits;
    place += 1;
  }
  return (held & ((1 << heldBits) - 1)) === 0 ? bytes : undefined;
}
