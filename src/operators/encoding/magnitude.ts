/** A bigint's magnitude as big-endian bytes without leading zeros, so that each has one form; zero has no bytes. */

const BYTE_DIGITS = 2;

export function magnitudeBytes(value: bigint): Uint8Array {
  const magnitude = value < 0n ? -value : value;
  if (magnitude === 0n) return new Uint8Array(0);
  const digits = magnitude.toString(16);
  const even = digits.length % BYTE_DIGITS === 0 ? digits : `0${digits}`;
  const bytes = new Uint8Array(even.length / BYTE_DIGITS);
  for (let place = 0; place < bytes.length; place += 1)
    bytes[place] = Number.parseInt(even.slice(place * BYTE_DIGITS, (place + 1) * BYTE_DIGITS), 16);
  return bytes;
}

/** Undefined where the bytes have a leading zero. */
export function magnitudeOf(bytes: Uint8Array): bigint | undefined {
  if (bytes.length === 0) return 0n;
  if (bytes[0] === 0) return undefined;
  let digits = "0x";
  for (const byte of bytes) digits += byte.toString(16).padStart(BYTE_DIGITS, "0");
  return BigInt(digits);
}
