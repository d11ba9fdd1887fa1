/**
 * What the app `lanes` of `apps.ts` must not call late, by hand. When its windows close hangs on which task was first, and how far; but never before
 * the records of both partitions, taken as they came, close them: so what was in time for that is counted, however long the app stood still.
 */
import type { LogView } from "../../client/testing/batch-answer.ts";
import { assert } from "../../src/lib/assert.ts";
import { decodeKey } from "../../src/operators/encoding/key-codec.ts";
import type { FeedRecord } from "../../src/runtime/task-log.ts";
import { IDLE_MS, OUT_OF_ORDER_MS, WINDOW_MS } from "./apps.ts";
import { type Answer, eventOf, inAnyOrder, type Line, line, linesOf } from "./plain-lines.ts";

type Timed = { readonly key: string; readonly n: number; readonly at: number; readonly logTime: number };

export function lanes(log: LogView): Answer {
  const inputs = [0, 1].map((partition) => log.of(`in/${partition}`).map(timed));
  const records = inputs.flat();
  const furthest = furthestOf(inputs);
  const allowed = records.filter(({ at, logTime }) => endOf(at) <= (furthest.get(logTime) as number)).map(shown);
  // A task that never told anything is nobody's to wait for.
  if (!areHeard(log)) allowed.push(...records.map(shown));
  const late = linesOf(log.of("late")).filter((own) => {
    const place = allowed.findIndex((other) => other.shown === own.shown);
    return place >= 0 && allowed.splice(place, 1).length > 0;
  });
  const out = log.of("out").map((record) => {
    const { start, end } = JSON.parse(new TextDecoder().decode(record.value ?? undefined)) as Record<string, number>;
    const key = new TextDecoder().decode(record.key);
    const own = records.filter((other) => other.key === key && endOf(other.at) === end).map(shown);
    const lost = late.filter((other) => own.some((one) => one.shown === other.shown)).length;
    return line(key, { start, end, value: own.length - lost }, (end as number) - 1);
  });
  return { out: inAnyOrder(out), late: inAnyOrder(late) };
}

/** By log time: the latest that the watermark may be by what came until then, the least of the partitions that were not idle at any time before. */
function furthestOf(inputs: readonly (readonly Timed[])[]): ReadonlyMap<number, number> {
  const times = new Set(inputs.flat().flatMap(({ logTime }) => [logTime, logTime + IDLE_MS]));
  const partitions = inputs.map((records) => ({ records, read: 0, seen: -Infinity, watermark: -Infinity }));
  let furthest = -Infinity;
  const steps = [...times]
    .toSorted((a, b) => a - b)
    .map((now) => {
      for (const partition of partitions) {
        const { records } = partition;
        for (; (records[partition.read]?.logTime ?? Infinity) <= now; partition.read += 1) {
          const { at, logTime } = records[partition.read] as Timed;
          partition.seen = logTime;
          partition.watermark = Math.max(partition.watermark, at - OUT_OF_ORDER_MS);
        }
      }
      const busy = partitions.filter(({ seen }) => seen + IDLE_MS > now).map(({ watermark }) => watermark);
      const least = busy.length > 0 ? Math.min(...busy) : Math.max(...partitions.map(({ watermark }) => watermark));
      furthest = Math.max(furthest, least);
      return [now, furthest] as const;
    });
  return new Map(steps);
}

/** Each reader heard of both tasks before the input of one had come too far for it to wait for the other. */
function areHeard(log: LogView): boolean {
  return [0, 1].every((reader) => {
    const records = log.of(`apps/lanes/repartition-1/${reader}`);
    const begun = records[0]?.logTime ?? 0;
    const told = records.map(toldBy);
    return [0, 1].every((lane) => {
      const first = told.findIndex(([from]) => from === lane);
      return first >= 0 && told.slice(0, first).every(([, , inputTime]) => inputTime < begun + IDLE_MS);
    });
  });
}

/** The task that it is from, its watermark and its input time. */
function toldBy({ headers = [] }: FeedRecord): readonly [number, number, number] {
  const decoded = decodeKey(headers.at(-1)?.[1] ?? new Uint8Array());
  assert(decoded.ok, "a repartition's records say where they are from");
  return decoded.value as [number, number, number];
}

function timed(record: FeedRecord): Timed {
  const { logTime, timestamp: at = logTime } = record;
  return { ...eventOf(record), at, logTime };
}

function shown({ key, n, at }: Timed): Line {
  return line(key, n, at);
}

function endOf(at: number): number {
  return (Math.floor(at / WINDOW_MS) + 1) * WINDOW_MS;
}
