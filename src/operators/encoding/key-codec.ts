/**
 * Keys as bytes whose order is the keys' order: what state is sorted by. Kinds come one after the other (null, booleans,
 * numbers, bigints, texts, bytes, arrays); within a kind numbers go by value, texts by code point, bytes as unsigned, and
 * arrays by their items, a beginning before what it begins. A number is never a bigint, `1` and `1n` are two keys.
 *
 * Every key has one encoding and every encoding ends by itself, so that keys written one behind the other sort like an
 * array of them: a row's key is written so. -0 is written as 0; NaN is one value, behind all other numbers.
 *
 *   null 05 · false 10 · true 11 · number 20 + 8 bytes · bigint 30 + length and magnitude · text 40 · bytes 50 · array 60
 *
 * Texts (UTF-8) and bytes end with 00 and have 00 ff for each 00 inside; an array ends with 00.
 */
import type { ByteWriter } from "../../lib/byte-writer.ts";
import { giveBack, takeWriter } from "../../lib/spare-writer.ts";
import { text, utf8 } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { EncodingError } from "./encoding-error.ts";
import { magnitudeBytes, magnitudeOf } from "./magnitude.ts";

/** What state is kept by, and what streams are grouped by. */
export type Key = null | boolean | number | bigint | string | Uint8Array | readonly Key[];

const END = 0x00;
const ESCAPED = 0xff;
const NULL = 0x05;
const FALSE = 0x10;
const TRUE = 0x11;
const NUMBER = 0x20;
const BIGINT = 0x30;
const TEXT = 0x40;
const BYTES = 0x50;
const ARRAY = 0x60;

const SIGN = 0x80;
const ALL = 0xff;
/** A bigint's length stands before its magnitude, so that longer is larger; the highest bit tells positive ones. */
const POSITIVE = 0x8000;
const NUMBER_LENGTH = 8;
const LENGTH_LENGTH = 2;

/** Up to here a loop over ASCII beats the platform's encoder, whose every call has a price. */
const SHORT_TEXT_LENGTH = 48;
const ASCII_END = 0x80;

/** Reused: eight bytes of one number. */
const EIGHT = new DataView(new ArrayBuffer(NUMBER_LENGTH));

/** Throws `EncodingError` for what is no key, or longer than `keyBytesMax`. */
export function encodeKey(key: Key): Uint8Array {
  const writer = takeWriter();
  writeKey(writer, key);
  const bytes = writer.finish();
  giveBack(writer);
  return bytes;
}

/** As `encodeKey`, behind what was written before. */
export function writeKey(writer: ByteWriter, key: Key): void {
  const start = writer.length;
  writePart(writer, key, 0);
  const length = writer.length - start;
  if (length > OPERATOR_LIMITS.keyBytesMax)
    throw new EncodingError(`a key has at most ${OPERATOR_LIMITS.keyBytesMax} bytes encoded, this one has ${length}`);
}

function writePart(writer: ByteWriter, key: Key, depth: number): void {
  switch (typeof key) {
    case "boolean":
      writer.u8(key ? TRUE : FALSE);
      return;
    case "number":
      writeNumber(writer, key);
      return;
    case "bigint":
      writeBigint(writer, key);
      return;
    case "string":
      if (key.length > SHORT_TEXT_LENGTH || !writeAscii(writer, key)) writeText(writer, key);
      return;
    case "object":
      if (key === null) writer.u8(NULL);
      else if (key instanceof Uint8Array) writeEscaped(writer, BYTES, key);
      else writeArray(writer, key, depth);
      return;
    default:
      throw new EncodingError(
        `a key is null, a boolean, number, bigint, text, bytes or an array of these, not a ${typeof key}`,
      );
  }
}

function writeArray(writer: ByteWriter, items: readonly Key[], depth: number): void {
  if (!Array.isArray(items)) throw new EncodingError("a key is no object; take the fields that matter, as an array");
  if (depth >= OPERATOR_LIMITS.depthMax) throw new EncodingError(`a key is at most ${OPERATOR_LIMITS.depthMax} deep`);
  writer.u8(ARRAY);
  for (const item of items as readonly Key[]) writePart(writer, item, depth + 1);
  writer.u8(END);
}

/** Big-endian, all bits turned for a negative number and the sign's for others: then they sort as unsigned bytes. */
function writeNumber(writer: ByteWriter, value: number): void {
  EIGHT.setFloat64(0, value === 0 ? 0 : value);
  const mask = value < 0 ? ALL : 0;
  writer.u8(NUMBER).u8(EIGHT.getUint8(0) ^ (mask | SIGN));
  for (let place = 1; place < NUMBER_LENGTH; place += 1) writer.u8(EIGHT.getUint8(place) ^ mask);
}

function writeBigint(writer: ByteWriter, value: bigint): void {
  const magnitude = magnitudeBytes(value);
  if (magnitude.length > OPERATOR_LIMITS.keyBytesMax)
    throw new EncodingError(`a key has at most ${OPERATOR_LIMITS.keyBytesMax} bytes`);
  const mask = value < 0n ? ALL : 0;
  const length = value < 0n ? POSITIVE - 1 - magnitude.length : POSITIVE + magnitude.length;
  writer
    .u8(BIGINT)
    .u8(length >> 8)
    .u8(length & ALL);
  for (const byte of magnitude) writer.u8(byte ^ mask);
}

function writeText(writer: ByteWriter, key: string): void {
  if (!key.isWellFormed()) throw new EncodingError("a key holds half of a surrogate pair, which is no Unicode");
  writeEscaped(writer, TEXT, utf8(key));
}

/** As `writeText`; false, and nothing written, where the text is not ASCII. */
function writeAscii(writer: ByteWriter, key: string): boolean {
  const start = writer.length;
  writer.u8(TEXT);
  for (let place = 0; place < key.length; place += 1) {
    const unit = key.charCodeAt(place);
    if (unit >= ASCII_END) {
      writer.truncate(start);
      return false;
    }
    writer.u8(unit);
    if (unit === END) writer.u8(ESCAPED);
  }
  writer.u8(END);
  return true;
}

function writeEscaped(writer: ByteWriter, tag: number, bytes: Uint8Array): void {
  writer.u8(tag);
  for (const byte of bytes) {
    writer.u8(byte);
    if (byte === END) writer.u8(ESCAPED);
  }
  writer.u8(END);
}

/** The one key that these bytes are; an encoding that `encodeKey` would not make is refused. */
export function decodeKey(bytes: Uint8Array): Result<Key, "malformed-key"> {
  const decoded = decodeKeys(bytes);
  if (!decoded.ok || decoded.value.length !== 1) return err("malformed-key");
  return ok(decoded.value[0] as Key);
}

/** Keys written one behind the other. */
export function decodeKeys(bytes: Uint8Array): Result<Key[], "malformed-key"> {
  const reader = new KeyReader(bytes);
  const keys: Key[] = [];
  while (!reader.atEnd) {
    const start = reader.place;
    const key = reader.key(0);
    if (key === undefined || reader.place - start > OPERATOR_LIMITS.keyBytesMax) return err("malformed-key");
    keys.push(key);
  }
  return ok(keys);
}

/** Undefined stands for what is malformed, wherever it is found. */
class KeyReader {
  readonly #bytes: Uint8Array;
  #place = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get place(): number {
    return this.#place;
  }

  get atEnd(): boolean {
    return this.#place >= this.#bytes.length;
  }

  key(depth: number): Key | undefined {
    switch (this.#next()) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NUMBER:
        return this.#number();
      case BIGINT:
        return this.#bigint();
      case TEXT: {
        const bytes = this.#escaped();
        return bytes === undefined ? undefined : text(bytes);
      }
      case BYTES:
        return this.#escaped();
      case ARRAY:
        return this.#array(depth);
      default:
        return undefined;
    }
  }

  #next(): number | undefined {
    const byte = this.#bytes[this.#place];
    this.#place += 1;
    return byte;
  }

  #take(length: number): Uint8Array | undefined {
    const end = this.#place + length;
    if (end > this.#bytes.length) return undefined;
    const bytes = this.#bytes.subarray(this.#place, end);
    this.#place = end;
    return bytes;
  }

  #number(): number | undefined {
    const coded = this.#take(NUMBER_LENGTH);
    if (coded === undefined) return undefined;
    const mask = ((coded[0] as number) & SIGN) === 0 ? ALL : 0;
    for (let place = 0; place < NUMBER_LENGTH; place += 1)
      EIGHT.setUint8(place, (coded[place] as number) ^ (place === 0 ? mask | SIGN : mask));
    const value = EIGHT.getFloat64(0);
    if (Object.is(value, -0)) return undefined;
    if (!Number.isNaN(value)) return value;
    const bits = EIGHT.getBigUint64(0);
    EIGHT.setFloat64(0, Number.NaN);
    return EIGHT.getBigUint64(0) === bits ? value : undefined;
  }

  #bigint(): bigint | undefined {
    const head = this.#take(LENGTH_LENGTH);
    if (head === undefined) return undefined;
    const coded = ((head[0] as number) << 8) | (head[1] as number);
    const isNegative = coded < POSITIVE;
    const bytes = this.#take(isNegative ? POSITIVE - 1 - coded : coded - POSITIVE);
    if (bytes === undefined || (isNegative && bytes.length === 0)) return undefined;
    const magnitude = magnitudeOf(isNegative ? bytes.map((byte) => byte ^ ALL) : bytes);
    return isNegative && magnitude !== undefined ? -magnitude : magnitude;
  }

  #escaped(): Uint8Array | undefined {
    const bytes: number[] = [];
    for (;;) {
      const byte = this.#next();
      if (byte === undefined) return undefined;
      if (byte === END) {
        if (this.#bytes[this.#place] !== ESCAPED) return Uint8Array.from(bytes);
        this.#place += 1;
      }
      bytes.push(byte);
    }
  }

  #array(depth: number): Key[] | undefined {
    if (depth >= OPERATOR_LIMITS.depthMax) return undefined;
    const items: Key[] = [];
    while (this.#bytes[this.#place] !== END) {
      const item = this.atEnd ? undefined : this.key(depth + 1);
      if (item === undefined) return undefined;
      items.push(item);
    }
    this.#place += 1;
    return items;
  }
}
