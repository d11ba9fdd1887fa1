/**
 * Where a topology is cut: what comes to a repartition leaves its task, by an internal stream of the log, for the task that
 * has the partition it now belongs to. Keys and values go in the codecs of state, so that nothing is lost on the way.
 */
import { err, ok } from "../../lib/result.ts";
import { decodeKey, encodeKey } from "../encoding/key-codec.ts";
import { EncodingError } from "../encoding/encoding-error.ts";
import { decodeValue, encodeValue } from "../encoding/value-codec.ts";
import type { Operator, SourceReader } from "../engine/operator.ts";
import { type Partitioner, partitionOf } from "./partitioner.ts";

/** `stream`: without the partition, which is always written behind it. */
export function repartition(stream: string, partitioner: Partitioner, count: number): Operator {
  return {
    process({ key, value, timestamp, headers }, context) {
      const turn = partitioner.kind === "round-robin" ? ((context.rows.get(null) ?? 0) as number) : 0;
      if (partitioner.kind === "round-robin") context.rows.put((turn + 1) % count, null);
      const partition = partitionOf(partitioner, count, key, timestamp, turn);
      context.send({
        stream: `${stream}/${partition}`,
        key: encodeKey(key),
        value: encodeValue(value),
        timestamp,
        ...(headers !== undefined && { headers }),
      });
    },
  };
}

/** The other side of it. */
export const readRepartitioned: SourceReader = ({ key, value, timestamp, logTime, headers }) => {
  const decodedKey = key === undefined ? err("malformed-key" as const) : decodeKey(key);
  const decoded = value === null ? ok(null) : decodeValue(value);
  if (!decodedKey.ok || !decoded.ok) throw new EncodingError("an internal stream holds what no repartition wrote");
  return {
    key: decodedKey.value,
    value: decoded.value,
    timestamp: timestamp ?? logTime,
    ...(headers !== undefined && { headers }),
  };
};
