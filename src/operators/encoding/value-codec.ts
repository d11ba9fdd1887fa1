/**
 * Values as bytes, each in one way only, whatever was done to get there: JSON-like data, and bytes, bigints, dates, maps
 * and sets. Replicas compare state by these bytes (I10), so an object's fields are sorted by name, and the entries of maps
 * and sets by their encoding: read back, a map goes through its keys in that order, not in that of insertion.
 *
 * -0 is written as 0; NaN is one value. Fields that are undefined are left out, as in JSON; undefined anywhere else, functions,
 * symbols and instances of classes are refused, for they would come back as something else.
 *
 *   null 00 · false 01 · true 02 · integer 03 (zigzag) · number 04 (f64) · bigint 05/06 (±, magnitude) · text 07 · bytes 08
 *   array 09 · object 0a · date 0b (f64 ms) · map 0c · set 0d        lengths and counts are varints
 */
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { giveBack, takeWriter } from "../../lib/spare-writer.ts";
import { compareBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { EncodingError } from "./encoding-error.ts";
import { magnitudeBytes, magnitudeOf } from "./magnitude.ts";

const NULL = 0x00;
const FALSE = 0x01;
const TRUE = 0x02;
const INTEGER = 0x03;
const NUMBER = 0x04;
const BIGINT = 0x05;
const NEGATIVE_BIGINT = 0x06;
const TEXT = 0x07;
const BYTES = 0x08;
const ARRAY = 0x09;
const OBJECT = 0x0a;
const DATE = 0x0b;
const MAP = 0x0c;
const SET = 0x0d;

/** What zigzag holds exactly. */
const INTEGER_MAX = 2 ** 51;

/** As it is before a guard stands in its place. */
export const PlainDate = Date;

/** Throws `EncodingError` for what has no encoding. */
export function encodeValue(value: unknown): Uint8Array {
  const writer = takeWriter();
  write(writer, value, 0);
  if (writer.length > OPERATOR_LIMITS.valueBytesMax) {
    const most = OPERATOR_LIMITS.valueBytesMax;
    throw new EncodingError(`a value has at most ${most} bytes encoded, this one has ${writer.length}`);
  }
  const bytes = writer.finish();
  giveBack(writer);
  return bytes;
}

function write(writer: ByteWriter, value: unknown, depth: number): void {
  switch (typeof value) {
    case "boolean":
      writer.u8(value ? TRUE : FALSE);
      return;
    case "number":
      writeNumber(writer, value);
      return;
    case "bigint":
      writer.u8(value < 0n ? NEGATIVE_BIGINT : BIGINT).blob(magnitudeBytes(value));
      return;
    case "string":
      writer.u8(TEXT);
      writeText(writer, value);
      return;
    case "object":
      if (value === null) writer.u8(NULL);
      else writeObject(writer, value, depth);
      return;
    default:
      throw new EncodingError(
        `a value holds ${typeof value === "undefined" ? "undefined; use null" : `a ${typeof value}`}`,
      );
  }
}

function writeNumber(writer: ByteWriter, value: number): void {
  if (isShort(value)) writer.u8(INTEGER).zigzag(value === 0 ? 0 : value);
  else writer.u8(NUMBER).f64(Number.isNaN(value) ? Number.NaN : value);
}

function isShort(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= INTEGER_MAX;
}

function writeText(writer: ByteWriter, value: string): void {
  if (!value.isWellFormed()) throw new EncodingError("a text holds half of a surrogate pair, which is no Unicode");
  writer.string(value);
}

function writeObject(writer: ByteWriter, value: object, depth: number): void {
  // Cycles end here, too.
  if (depth >= OPERATOR_LIMITS.depthMax) throw new EncodingError(`a value is at most ${OPERATOR_LIMITS.depthMax} deep`);
  if (value instanceof Uint8Array) writer.u8(BYTES).blob(value);
  else if (Array.isArray(value)) {
    writer.u8(ARRAY).varint(value.length);
    // By place, so that a hole is met as the undefined that it reads as.
    for (let place = 0; place < value.length; place += 1) write(writer, value[place], depth + 1);
  } else if (value instanceof PlainDate) writer.u8(DATE).f64(value.getTime());
  else if (value instanceof Map) writeMap(writer, value, depth);
  else if (value instanceof Set) writeSet(writer, value, depth);
  else writeFields(writer, value, depth);
}

function writeFields(writer: ByteWriter, value: object, depth: number): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    const name = (value as { readonly constructor?: { readonly name?: string } }).constructor?.name ?? "class";
    throw new EncodingError(`a value holds an instance of ${name}; state and outputs are plain data`);
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(fields).filter((name) => fields[name] !== undefined);
  writer.u8(OBJECT).varint(names.length);
  for (const name of names.sort()) {
    writeText(writer, name);
    write(writer, fields[name], depth + 1);
  }
}

function writeMap(writer: ByteWriter, map: ReadonlyMap<unknown, unknown>, depth: number): void {
  const entries = [...map].map(([key, value]) => ({ key: encodedAt(key, depth + 1), value }));
  writer.u8(MAP).varint(entries.length);
  for (const { key, value } of sortedOnce(entries, "map")) {
    writer.bytes(key);
    write(writer, value, depth + 1);
  }
}

function writeSet(writer: ByteWriter, set: ReadonlySet<unknown>, depth: number): void {
  const entries = [...set].map((key) => ({ key: encodedAt(key, depth + 1) }));
  writer.u8(SET).varint(entries.length);
  for (const { key } of sortedOnce(entries, "set")) writer.bytes(key);
}

function encodedAt(value: unknown, depth: number): Uint8Array {
  const writer = new ByteWriter(32);
  write(writer, value, depth);
  return writer.finish();
}

function sortedOnce<T extends { readonly key: Uint8Array }>(entries: T[], what: string): T[] {
  entries.sort((a, b) => compareBytes(a.key, b.key));
  entries.forEach(({ key }, place) => {
    const before = entries[place - 1];
    if (before !== undefined && compareBytes(before.key, key) === 0)
      throw new EncodingError(`a ${what} holds two objects that are equal in all but identity`);
  });
  return entries;
}

/** The value; an encoding that `encodeValue` would not make is refused. */
export function decodeValue(bytes: Uint8Array): Result<unknown, "malformed-value"> {
  const reader = new ValueReader(bytes);
  const value = reader.value(0);
  return reader.isWhole ? ok(value) : err("malformed-value");
}

class ValueReader {
  readonly #bytes: Uint8Array;
  readonly #reader: ByteReader;
  #malformed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#reader = new ByteReader(bytes);
  }

  get isWhole(): boolean {
    return !this.#malformed && this.#reader.complete;
  }

  /** Anything once something was malformed. */
  value(depth: number): unknown {
    const reader = this.#reader;
    const tag = reader.u8();
    if (depth > OPERATOR_LIMITS.depthMax || (tag > BYTES && depth >= OPERATOR_LIMITS.depthMax)) return this.#refuse();
    switch (tag) {
      case NULL:
        return null;
      case FALSE:
        return false;
      case TRUE:
        return true;
      case INTEGER:
        return this.#integer();
      case NUMBER:
        return this.#number();
      case BIGINT:
      case NEGATIVE_BIGINT:
        return this.#bigint(tag === NEGATIVE_BIGINT);
      case TEXT:
        return reader.string(reader.remaining);
      case BYTES:
        return reader.blob(reader.remaining).slice();
      case ARRAY:
        return this.#array(depth);
      case OBJECT:
        return this.#object(depth);
      case DATE:
        return this.#date();
      case MAP:
        return new Map(this.#sorted(depth, true) as [unknown, unknown][]);
      case SET:
        return new Set(this.#sorted(depth, false));
      default:
        return this.#refuse();
    }
  }

  #refuse(): undefined {
    this.#malformed = true;
    return undefined;
  }

  get #isBad(): boolean {
    return this.#malformed || this.#reader.failed;
  }

  #integer(): number | undefined {
    const value = this.#reader.zigzag();
    return isShort(value) ? value : this.#refuse();
  }

  #number(): number | undefined {
    const start = this.#place;
    const value = this.#reader.f64();
    return isShort(value) || !this.#isOneNaN(value, start) ? this.#refuse() : value;
  }

  #date(): unknown {
    const start = this.#place;
    const time = this.#reader.f64();
    const date = new PlainDate(time);
    return Object.is(date.getTime(), time) && this.#isOneNaN(time, start) ? date : this.#refuse();
  }

  /** NaN has many bit patterns; one of them is written. */
  #isOneNaN(value: number, start: number): boolean {
    if (!Number.isNaN(value)) return true;
    return compareBytes(this.#bytes.subarray(start, this.#place), ONE_NAN) === 0;
  }

  #bigint(isNegative: boolean): bigint | undefined {
    const bytes = this.#reader.blob(this.#reader.remaining);
    const magnitude = magnitudeOf(bytes);
    if (magnitude === undefined || (isNegative && magnitude === 0n)) return this.#refuse();
    return isNegative ? -magnitude : magnitude;
  }

  #array(depth: number): unknown[] {
    const items: unknown[] = [];
    for (let left = this.#reader.count(this.#reader.remaining); left > 0 && !this.#isBad; left -= 1)
      items.push(this.value(depth + 1));
    return items;
  }

  #object(depth: number): Record<string, unknown> | undefined {
    const fields: Record<string, unknown> = {};
    let before: string | undefined;
    for (let left = this.#reader.count(this.#reader.remaining); left > 0 && !this.#isBad; left -= 1) {
      const name = this.#reader.string(this.#reader.remaining);
      if (before !== undefined && !(before < name)) return this.#refuse();
      before = name;
      const value = this.value(depth + 1);
      // Assigned, `__proto__` would be no field.
      if (name === "__proto__") Object.defineProperty(fields, name, { value, ...FIELD });
      else fields[name] = value;
    }
    return fields;
  }

  /** The entries of a map, or the items of a set. */
  #sorted(depth: number, withValues: boolean): unknown[] {
    const entries: unknown[] = [];
    let before: Uint8Array | undefined;
    for (let left = this.#reader.count(this.#reader.remaining); left > 0 && !this.#isBad; left -= 1) {
      const start = this.#place;
      const key = this.value(depth + 1);
      const encoded = this.#bytes.subarray(start, this.#place);
      if (before !== undefined && compareBytes(before, encoded) >= 0) this.#refuse();
      before = encoded;
      entries.push(withValues ? [key, this.value(depth + 1)] : key);
    }
    return entries;
  }

  get #place(): number {
    return this.#bytes.length - this.#reader.remaining;
  }
}

const FIELD = { configurable: true, enumerable: true, writable: true };
const ONE_NAN: Uint8Array = new ByteWriter(8).f64(Number.NaN).finish();
