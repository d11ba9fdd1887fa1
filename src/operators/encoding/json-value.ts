/**
 * Values as streams have them: JSON, or bytes as they are. What JSON would drop or change without a word is refused, as is
 * what has no canonical form; a topology says itself how a Map or a bigint is to be written.
 */
import { utf8 } from "../../lib/bytes.ts";
import { isThenable } from "../../lib/thenable.ts";
import { EncodingError } from "./encoding-error.ts";
import { PlainDate } from "./value-codec.ts";

export function jsonBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const text = JSON.stringify(value, refuse) as string | undefined;
  if (text === undefined) throw new EncodingError(`an output is JSON or bytes, not ${typeof value}`);
  return utf8(text);
}

/** `this`: what holds the value, as it was before `toJSON`. */
function refuse(this: unknown, name: string, value: unknown): unknown {
  if (typeof value === "function" || typeof value === "symbol")
    throw new EncodingError(`an output holds a ${typeof value}, which JSON has not`);
  if (value === undefined && Array.isArray(this))
    throw new EncodingError("an output holds an array with undefined in it, which JSON has not; use null");
  if (value === null && (this as Readonly<Record<string, unknown>>)[name] instanceof PlainDate)
    throw new EncodingError("an output holds a date that is none, which JSON has not; use null");
  if (typeof value === "bigint")
    throw new EncodingError("an output holds a bigint, which JSON has not; write it as a text");
  if (typeof value === "number" && !Number.isFinite(value))
    throw new EncodingError(`an output holds ${value}, which JSON has not; use null`);
  if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value))
    throw new EncodingError(
      "an output holds a Map, a Set or bytes, which JSON has not; map it to arrays, objects or texts",
    );
  if (isThenable(value))
    throw new EncodingError("an output holds a promise, which JSON has not: callbacks are synchronous");
  return value;
}
