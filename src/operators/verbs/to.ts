/** Writes records to a stream of the log, for others to read: the end of a topology. */
import { utf8 } from "../../lib/bytes.ts";
import { EncodingError } from "../encoding/encoding-error.ts";
import { type Key, encodeKey } from "../encoding/key-codec.ts";
import { jsonBytes } from "../encoding/json-value.ts";
import type { Item } from "../engine/item.ts";
import type { Operator, OperatorContext } from "../engine/operator.ts";

/** The stream that a record goes to. */
export type Route = (item: Item, context: OperatorContext) => string;

export function to(route: Route): Operator {
  return {
    process(item, context) {
      const { key, value, timestamp, headers } = item;
      const bytes = recordKey(key);
      context.send({
        stream: route(item, context),
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
  if (typeof key === "string") {
    if (!key.isWellFormed())
      throw new EncodingError("a record's key holds half of a surrogate pair, which is no Unicode");
    return utf8(key);
  }
  return key instanceof Uint8Array ? key : encodeKey(key);
}
