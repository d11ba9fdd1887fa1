/**
 * What clients asked and were answered, and whether a log can explain it (I5 to I9): judged by the histories of the simulator's
 * clients, which the bug zoo proves.
 *
 * Times are of one monotonic clock. Values are unique over all appends.
 */
import { assert } from "../../src/lib/assert.ts";
import { type Sent, StreamHistory } from "../sim/cluster/stream-history.ts";
import { Violation } from "../sim/history.ts";

export type Append = {
  readonly stream: string;
  readonly value: string;
  readonly producer: string;
  /** In the producer's own order, which the stream keeps. */
  readonly sequence: number;
  readonly askedAt: number;
  readonly outcome: Outcome;
};

/** `offset` is undefined where the answer does not name one. `unknown`: it may be there. */
export type Outcome =
  | { readonly kind: "acknowledged"; readonly at: number; readonly offset: number | undefined }
  | { readonly kind: "refused" }
  | { readonly kind: "unknown" };

/** What one reader was given, from the stream's start on. */
export type Reading = { readonly reader: string; readonly stream: string; readonly seen: readonly Seen[] };
export type Seen = { readonly offset: number; readonly value: string };

/** A linearizable look at where a stream ends; by which face. */
export type Look = {
  readonly face: string;
  readonly stream: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly nextOffset: number;
};

/** A session's read up to the end: what came of it, and how far that session had been shown the stream before. */
export type SessionRead = {
  readonly client: string;
  readonly stream: string;
  readonly shown: number;
  readonly nextOffset: number;
};

export type History = {
  readonly appends: readonly Append[];
  readonly readings: readonly Reading[];
  readonly looks: readonly Look[];
  readonly sessionReads: readonly SessionRead[];
};

/** What is wrong, each in a sentence; `contents` is what each stream holds in the end, from offset 0 on. */
export function violationsIn(history: History, contents: ReadonlyMap<string, readonly string[]>): readonly string[] {
  return [...contents].flatMap(([stream, values]) => violationsOf(stream, history, values));
}

type Step = { readonly at: number; readonly take: () => void };

/** What happened to one stream happens again, in the order in which it did, to the history that judges the simulator's clients. */
function violationsOf(stream: string, history: History, values: readonly string[]): readonly string[] {
  const judge = new StreamHistory(stream);
  const violations: string[] = [];
  const attempt = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      violations.push(error.message);
    }
  };
  const { asked, answered } = stepsOf(stream, history, judge);
  // Of one instant nothing is known to be before the other.
  const steps = [...asked, ...answered].toSorted((a, b) => a.at - b.at);
  for (const { take } of steps) attempt(take);
  for (const { reader, seen } of history.readings.filter((reading) => reading.stream === stream)) {
    const gap = seen.findIndex(({ offset }, place) => offset !== place);
    if (gap >= 0) violations.push(`I7: ${reader} was given ${stream}@${seen[gap]?.offset} as record ${gap}`);
    for (const { offset, value } of seen) attempt(() => judge.saw(offset, value, reader));
  }
  for (const { client, shown, nextOffset } of history.sessionReads.filter((read) => read.stream === stream))
    attempt(() => judge.tailShownTo(nextOffset, shown, client));
  attempt(() => judge.judge(values, 0, "the log"));
  return violations;
}

/** What was asked for, and what was answered, each when it was. */
function stepsOf(
  stream: string,
  { appends, looks }: History,
  judge: StreamHistory,
): Record<"asked" | "answered", Step[]> {
  const [asked, answered]: [Step[], Step[]] = [[], []];
  const own = appends.filter((append) => append.stream === stream);
  for (const producer of new Set(own.map((append) => append.producer))) judge.session(producer, false);
  for (const { askedAt, producer, value, outcome } of own.toSorted((a, b) => a.sequence - b.sequence)) {
    let sent: Sent | undefined;
    asked.push({ at: askedAt, take: () => (sent = judge.sent(producer, value)) });
    answered.push({
      // What is in doubt, or refused, may have been answered at any time.
      at: outcome.kind === "acknowledged" ? outcome.at : Infinity,
      take: () => {
        assert(sent !== undefined, "what is answered was asked for");
        if (outcome.kind !== "acknowledged") judge.failed(sent, outcome.kind === "refused" ? "not-applied" : "unknown");
        else if (outcome.offset === undefined) judge.failed(sent, "applied");
        else judge.acknowledged(sent, outcome.offset);
      },
    });
  }
  for (const { askedAt, answeredAt, face, nextOffset } of looks.filter((look) => look.stream === stream)) {
    let floor = 0;
    asked.push({ at: askedAt, take: () => (floor = judge.floor) });
    answered.push({ at: answeredAt, take: () => judge.tailShown(nextOffset, floor, face) });
  }
  return { asked, answered };
}

/** Of a stream that forgets its oldest records: what it still has is what was acknowledged there, up to the end. */
export function misplacedIn(stream: string, appends: readonly Append[], kept: readonly Seen[]): string[] {
  const values = new Map(kept.map(({ offset, value }) => [offset, value]));
  const first = kept[0]?.offset ?? 0;
  return appends.flatMap(({ stream: own, value, outcome }) => {
    if (own !== stream || outcome.kind !== "acknowledged" || outcome.offset === undefined) return [];
    const { offset } = outcome;
    if (offset < first || values.get(offset) === value) return [];
    return [`moved: ${stream} had said that ${value} is at ${offset}, where it has ${values.get(offset)} (I6)`];
  });
}

/** Readers that had the time to read everything, and did not: records that they will never be given are lost to them. */
export function starvedIn(readings: readonly Reading[], contents: ReadonlyMap<string, readonly string[]>): string[] {
  return readings.flatMap(({ reader, stream, seen }) => {
    const length = contents.get(stream)?.length ?? 0;
    return seen.length >= length ? [] : [`starved: ${reader} was given ${seen.length} of ${length} of ${stream} (I7)`];
  });
}

/** Streams that only ever were appended to together hold the same, however much of it was in doubt (I11). */
export function tornIn(streams: readonly string[], contents: ReadonlyMap<string, readonly string[]>): string[] {
  const [first = "", ...others] = streams;
  const [values = [], ...rest] = [first, ...others].map((stream) => contents.get(stream));
  return rest.flatMap((other = [], at) => {
    const place = Math.max(values.length, other.length);
    const differs = Array.from({ length: place }, (_, offset) => offset).find(
      (offset) => values[offset] !== other[offset],
    );
    if (differs === undefined) return [];
    return [`torn: at ${differs}, ${first} has ${values[differs]}, and ${others[at]} ${other[differs]} (I11)`];
  });
}
