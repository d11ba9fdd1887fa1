/**
 * Where a topology is cut: what comes to a repartition leaves its task, by an internal stream of the log, for the task that
 * has the partition it now belongs to. Keys and values go in the codecs of state, so that nothing is lost on the way.
 *
 * Whoever reads there hears several tasks at once, some of which may be far behind. So each record says which task it is from and
 * how far event time has come there, and now and then all partitions are told so without a record (a *mark*): the reader's
 * watermark is the least of what it heard, and no record is late because another task is ahead.
 */
import type { RecordHeader } from "../../record/record.ts";
import { decodeKey, encodeKey } from "../encoding/key-codec.ts";
import { EncodingError } from "../encoding/encoding-error.ts";
import { decodeValue, encodeValue } from "../encoding/value-codec.ts";
import type { Operator, OperatorContext, SourceReader } from "../engine/operator.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { numbered, type Partitioner, partitionFor } from "./partitioner.ts";

/** The last header of all that a repartition writes: the task's partition, and its watermark there. */
const FROM = "tidemark-from";

/** `stream`: without the partition, which is always written behind it. */
export function repartition(stream: string, partitioner: Partitioner, count: number): Operator {
  return {
    process(item, context) {
      const { key, value, timestamp, headers = [] } = item;
      const partition = partitionFor(partitioner, count, item, context);
      context.send({
        stream: numbered(stream, partition),
        key: encodeKey(key),
        value: encodeValue(value),
        timestamp,
        headers: [...headers, from(context)],
      });
      const { watermark } = context;
      // Of the watermark, for records may be ahead of it: marks are to come as it comes on, whatever they are of.
      const reached = watermark > -Infinity ? watermark : timestamp;
      const every = OPERATOR_LIMITS.markEveryMs;
      const due = (Math.floor(reached / every) + 1) * every;
      // One for all records of a period: what is set already is not set again.
      context.setTimer({ kind: "event", due, key: null, name: null });
    },

    onTimer({ due }, context) {
      const headers = [from(context)];
      for (let partition = 0; partition < count; partition += 1)
        context.send({ stream: numbered(stream, partition), value: null, timestamp: due, headers });
    },
  };
}

function from({ partition, watermark }: OperatorContext): RecordHeader {
  return [FROM, encodeKey([partition, watermark])];
}

/** The other side of it. */
export const readRepartitioned: SourceReader = ({ key, value, timestamp, logTime, headers = [] }) => {
  const [name, sender] = headers.at(-1) ?? [];
  const decoded = name === FROM && sender !== undefined ? decodeKey(sender) : undefined;
  if (decoded?.ok !== true || !Array.isArray(decoded.value)) throw misplaced();
  const [lane, eventTime] = decoded.value as [number, number];
  if (value === null) return { lane, eventTime };
  const decodedKey = key === undefined ? undefined : decodeKey(key);
  const decodedValue = decodeValue(value);
  if (decodedKey?.ok !== true || !decodedValue.ok) throw misplaced();
  const others = headers.slice(0, -1);
  return {
    lane,
    eventTime,
    item: {
      key: decodedKey.value,
      value: decodedValue.value,
      timestamp: timestamp ?? logTime,
      ...(others.length > 0 && { headers: others }),
    },
  };
};

function misplaced(): EncodingError {
  return new EncodingError("an internal stream holds what no repartition wrote");
}
