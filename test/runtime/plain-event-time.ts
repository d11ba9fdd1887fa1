/**
 * What the apps of `apps.ts` must have put out that go by event time, by hand. Each record is taken with the watermark that it finds; what is in
 * time for it counts, whatever order it came in, and what comes out is what nobody waits for any more at the end.
 */
import type { LogView } from "../../client/testing/batch-answer.ts";
import { type Event, GAP_MS, GRACE_MS, IDLE_MS, NEAR_MS, OUT_OF_ORDER_MS, REMEMBERED_MS, WINDOW_MS } from "./apps.ts";
import { type Answer, eventOf, inAnyOrder, type Line, line } from "./plain-lines.ts";

type Timed = Event & {
  readonly at: number;
  readonly logTime: number;
  /** That it finds: no record before this was expected any more. */
  readonly watermark: number;
};
type Result = { readonly key: string; readonly at: number; readonly value: unknown };
type Session = { readonly key: string; start: number; end: number; sum: number };

export function windows(log: LogView): Answer {
  const { records, watermark } = timed(log);
  const open = records.filter((record) => endOf(record.at) > record.watermark);
  return { out: inAnyOrder(counts(open, watermark)) };
}

export function pairs(log: LogView): Answer {
  const { records, watermark } = timed(log);
  const onTime = records.filter(isOnTime);
  const results: Result[] = [];
  for (const left of onTime.filter(({ n }) => n % 2 === 0)) {
    const { key, at, n } = left;
    const near = onTime.filter((other) => other.n % 2 !== 0 && other.key === key && Math.abs(other.at - at) <= NEAR_MS);
    for (const right of near) results.push({ key, at: Math.max(at, right.at), value: [n, right.n] });
    if (near.length === 0 && at + HELD_MS <= watermark) results.push({ key, at, value: [n, null] });
  }
  return {
    out: inAnyOrder(results.map(({ key, at, value }) => line(key, value, at))),
    counts: inAnyOrder(counts(results, watermark - HELD_MS)),
    lost: inAnyOrder([]),
  };
}

export function visits(log: LogView): Answer {
  const { records, watermark } = timed(log);
  const firsts = firstsOf(records);
  const sessions = sessionsOf(firsts, watermark);
  const onTime = records.filter(isOnTime);
  const slides = [...new Set(onTime.map(({ key, at }) => `${key} ${at}`))].flatMap((name) => {
    const [key, time] = name.split(" ") as [string, string];
    const end = Number(time) + 1;
    if (end + GRACE_MS > watermark) return [];
    const own = onTime.filter((record) => record.key === key && record.at < end && record.at >= end - WINDOW_MS);
    return [line(key, { start: end - WINDOW_MS, end, value: sumOf(own) }, end - 1)];
  });
  const tooLate = records.filter((record) => !isOnTime(record));
  return {
    "firsts": inAnyOrder(firsts.map(({ key, at, value }) => line(key, value, at))),
    "out": inAnyOrder(sessions.closed),
    "sessions-late": inAnyOrder(sessions.late),
    "slides": inAnyOrder(slides),
    "slides-late": inAnyOrder(tooLate.map(({ key, at, n }) => line(key, n, at))),
  };
}

/** One alone is told so much later than its own time. */
const HELD_MS = NEAR_MS + GRACE_MS + 1;

type First = Timed & { readonly value: { readonly n: number; readonly has: readonly [number, number] } };

/** Of equal ones the first, with how many of the key there are by then, and the most of them. */
function firstsOf(records: readonly Timed[]): readonly First[] {
  const remembered = new Map<string, number>();
  const sofar = new Map<string, readonly [number, number]>();
  return records.flatMap((record) => {
    const { key, n, logTime } = record;
    const [count, most] = sofar.get(key) ?? [0, -Infinity];
    const has = [count + 1, Math.max(most, n)] as const;
    sofar.set(key, has);
    const name = `${key} ${n % 4}`;
    const isKnown = (remembered.get(name) ?? -Infinity) >= logTime;
    remembered.set(name, logTime + REMEMBERED_MS);
    return isKnown ? [] : [{ ...record, value: { n, has } }];
  });
}

function sessionsOf(
  firsts: readonly First[],
  watermark: number,
): { readonly closed: readonly Line[]; readonly late: readonly Line[] } {
  const [closed, late]: [Line[], Line[]] = [[], []];
  let open: readonly Session[] = [];
  const close = (reached: number): void => {
    const over = (session: Session): boolean => session.end + GRACE_MS <= reached;
    for (const { key, start, end, sum } of open.filter(over))
      closed.push(line(key, { start, end, value: sum }, end - 1));
    open = open.filter((session) => !over(session));
  };
  for (const { key, at, n, value, watermark: found } of firsts) {
    close(found);
    const own = { key, start: at, end: at + GAP_MS, sum: n };
    const touched = open.filter((other) => other.key === key && other.start < own.end && other.end > own.start);
    if (touched.length === 0 && own.end + GRACE_MS <= found) {
      late.push(line(key, value, at));
      continue;
    }
    const all = [own, ...touched];
    const [starts, ends] = [all.map(({ start }) => start), all.map(({ end }) => end)];
    const joined = {
      key,
      start: Math.min(...starts),
      end: Math.max(...ends),
      sum: all.reduce((sum, one) => sum + one.sum, 0),
    };
    open = [...open.filter((other) => !touched.includes(other)), joined];
  }
  close(watermark);
  return { closed, late };
}

/** Of windows that have closed by then. */
function counts(records: readonly Pick<Result, "key" | "at">[], watermark: number): Line[] {
  return [...Map.groupBy(records, ({ key, at }) => `${key} ${endOf(at)}`)].flatMap(([name, { length }]) => {
    const [key, time] = name.split(" ") as [string, string];
    const end = Number(time);
    return end <= watermark ? [line(key, { start: end - WINDOW_MS, end, value: length }, end - 1)] : [];
  });
}

function endOf(at: number): number {
  return (Math.floor(at / WINDOW_MS) + 1) * WINDOW_MS;
}

function isOnTime({ at, watermark }: Timed): boolean {
  return at + GRACE_MS >= watermark;
}

function sumOf(records: readonly Timed[]): number {
  return records.reduce((sum, { n }) => sum + n, 0);
}

/** What came in, and the watermark at the end of the log. */
function timed(log: LogView): { readonly records: readonly Timed[]; readonly watermark: number } {
  let newest = -Infinity;
  let seen = 0;
  let watermark = -Infinity;
  /** Once nothing came for a while, event time goes on as log time does. What falls due in a record's millisecond comes behind it. */
  const pass = (logTime: number): void => {
    if (logTime >= seen + IDLE_MS)
      watermark = Math.max(watermark, newest - OUT_OF_ORDER_MS + (logTime - seen - IDLE_MS));
  };
  const records = log.of("in").map((record) => {
    const { logTime, timestamp: at = logTime } = record;
    pass(logTime - 1);
    const found = { ...eventOf(record), at, logTime, watermark };
    newest = Math.max(newest, at);
    seen = logTime;
    watermark = Math.max(watermark, newest - OUT_OF_ORDER_MS);
    return found;
  });
  pass(log.logTime - 1);
  return { records, watermark };
}
