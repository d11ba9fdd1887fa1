/**
 * Where a topology is cut: what comes to a repartition leaves its task, by an internal stream of the log, for the task that
 * has the partition it now belongs to. Keys and values go in the codecs of state, so that nothing is lost on the way.
 *
 * Whoever reads there hears several tasks at once, some of which may be far behind. So each record says which task it is from, how
 * far event time has come there, and how far the app's own input, and now and then all partitions are told so without a record (a *mark*): the
 * reader's watermark is the least of what it heard as of an input time that all have come to, and no record is late because another task is ahead.
 * Where there is nothing to put out, marks come as log time goes on: else nobody could tell that from a task that stands still.
 */
import type { RecordHeader } from "../../record/record.ts";
import { decodeKey, encodeKey } from "../encoding/key-codec.ts";
import { EncodingError } from "../encoding/encoding-error.ts";
import { decodeValue, encodeValue } from "../encoding/value-codec.ts";
import type { Operator, OperatorContext, SourceReader, TimeKind } from "../engine/operator.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { numbered, type Partitioner, partitionFor } from "./partitioner.ts";

/** The last header of all that a repartition writes: the task's partition, its watermark there, its input time, and whether it is idle. */
const FROM = "tidemark-from";

/** `stream`: without the partition, which is always written behind it. `idleMs`: of the app's input. */
export function repartition(stream: string, partitioner: Partitioner, count: number, idleMs: number): Operator {
  const { markEveryMs, laneMarkEveryMsMin, laneMarkEveryMsMax, laneMarksPerIdle } = OPERATOR_LIMITS;
  const idleMarkEveryMs = Math.min(
    laneMarkEveryMsMax,
    Math.max(laneMarkEveryMsMin, Math.ceil(idleMs / laneMarksPerIdle)),
  );
  // One for all records of a period: what is set already is not set again.
  const setMark = (kind: TimeKind, time: number, every: number, context: OperatorContext): void =>
    context.setTimer({ kind, due: (Math.floor(time / every) + 1) * every, key: null, name: null });
  const setIdleMark = (context: OperatorContext): void => {
    if (context.aligned) setMark("log", context.logTime, idleMarkEveryMs, context);
  };
  return {
    begin: setIdleMark,

    process(item, context) {
      const { key, value, timestamp, headers = [] } = item;
      const partition = partitionFor(partitioner, count, item, context);
      context.send({
        stream: numbered(stream, partition),
        key: encodeKey(key),
        value: encodeValue(value),
        timestamp,
        // It is just now that there is something.
        headers: [...headers, from(context, false)],
      });
      const { watermark } = context;
      // Of the watermark, for records may be ahead of it: marks are to come as it comes on, whatever they are of.
      setMark("event", watermark > -Infinity ? watermark : timestamp, markEveryMs, context);
    },

    onTimer({ due }, context) {
      const headers = [from(context, context.idle)];
      for (let partition = 0; partition < count; partition += 1)
        context.send({ stream: numbered(stream, partition), value: null, timestamp: due, headers });
      setIdleMark(context);
    },
  };
}

function from({ partition, watermark, inputTime }: OperatorContext, idle: boolean): RecordHeader {
  return [FROM, encodeKey([partition, watermark, inputTime, idle])];
}

/** The other side of it. */
export const readRepartitioned: SourceReader = ({ key, value, timestamp, logTime, headers = [] }) => {
  const [name, sender] = headers.at(-1) ?? [];
  const decoded = name === FROM && sender !== undefined ? decodeKey(sender) : undefined;
  if (decoded?.ok !== true || !Array.isArray(decoded.value)) throw misplaced();
  const [lane, eventTime, inputTime, idle] = decoded.value as [number, number, number, boolean];
  const heard = { lane, eventTime, told: { inputTime, idle } };
  if (value === null) return heard;
  const decodedKey = key === undefined ? undefined : decodeKey(key);
  const decodedValue = decodeValue(value);
  if (decodedKey?.ok !== true || !decodedValue.ok) throw misplaced();
  const others = headers.slice(0, -1);
  return {
    ...heard,
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
