/** Writes records to a stream of the log, for others to read: the end of a topology. */
import { utf8 } from "../../lib/bytes.ts";
import { type Key, encodeKey } from "../encoding/key-codec.ts";
import { jsonBytes } from "../encoding/json-value.ts";
import type { Operator } from "../engine/operator.ts";

/** The name of the stream, or how it follows from the record's key and time. */
export type Route = (key: Key, timestamp: number) => string;

export function to(route: Route): Operator {
  return {
    process({ key, value, timestamp, headers }, context) {
      const bytes = recordKey(key);
      context.send({
        stream: route(key, timestamp),
        value: value === null ? null : jsonBytes(value),
        timestamp,
        ...(bytes !== undefined && { key: bytes }),
        ...(headers !== undefined && { headers }),
      });
    },
  };
}

/** A text as UTF-8, bytes as they are, null as no key; others in the key codec, which sorts. */
export function recordKey(key: Key): Uint8Array | undefined {
  if (key === null) return undefined;
  if (typeof key === "string") return utf8(key);
  return key instanceof Uint8Array ? key : encodeKey(key);
}
