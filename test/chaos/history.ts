/**
 * What clients asked and were answered, and whether a log can explain it: acknowledged records are there, once, where they
 * were said to be, in an order that respects real time; what was refused is not there; what readers saw is a prefix of
 * what there is; and nobody was told of an end that had already moved (I5 to I8).
 *
 * Times are of one monotonic clock. Values are unique over all appends.
 */

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
  const violations: string[] = [];
  for (const [stream, values] of contents) {
    const appends = history.appends.filter((append) => append.stream === stream);
    violations.push(
      ...misplaced(stream, appends, values),
      ...misordered(stream, appends, values),
      ...misread(stream, history.readings, values),
      ...stale(stream, appends, history.looks),
      ...forgetful(stream, history.sessionReads),
    );
  }
  return violations;
}

function misplaced(stream: string, appends: readonly Append[], values: readonly string[]): string[] {
  const violations: string[] = [];
  const places = new Map<string, number>();
  values.forEach((value, offset) => {
    const before = places.get(value);
    if (before !== undefined) violations.push(`repeated: ${stream} has ${value} at ${before} and at ${offset} (I8)`);
    places.set(value, offset);
  });
  const asked = new Map(appends.map((append) => [append.value, append]));
  for (const value of places.keys())
    if (!asked.has(value)) violations.push(`made up: ${stream} has ${value}, which nobody appended (I6)`);
  for (const { value, outcome } of appends) {
    const place = places.get(value);
    if (outcome.kind === "refused" && place !== undefined)
      violations.push(`refused, but there: ${stream} has ${value} at ${place}`);
    if (outcome.kind !== "acknowledged") continue;
    if (place === undefined) violations.push(`lost: ${stream} has acknowledged ${value}, and does not have it (I5)`);
    else if (outcome.offset !== undefined && outcome.offset !== place)
      violations.push(`moved: ${stream} has ${value} at ${place}, and had said ${outcome.offset} (I6)`);
  }
  return violations;
}

/** Each producer's own order; and what was acknowledged before another was asked for comes before it. */
function misordered(stream: string, appends: readonly Append[], values: readonly string[]): string[] {
  const violations: string[] = [];
  const places = new Map(values.map((value, offset) => [value, offset]));
  const latest = new Map<string, Append>();
  const placed = appends.filter(({ value }) => places.has(value));
  const placeOf = ({ value }: Append): number => places.get(value) as number;
  for (const append of placed.toSorted((a, b) => placeOf(a) - placeOf(b))) {
    const before = latest.get(append.producer);
    if (before !== undefined && before.sequence > append.sequence)
      violations.push(`reordered: ${stream} has ${before.value} before ${append.value} (I7)`);
    latest.set(append.producer, append);
  }
  const ended = placed
    .flatMap((append) => (append.outcome.kind === "acknowledged" ? [{ append, at: append.outcome.at }] : []))
    .toSorted((a, b) => a.at - b.at);
  let next = 0;
  let furthest: Append | undefined;
  for (const append of placed.toSorted((a, b) => a.askedAt - b.askedAt)) {
    for (let one = ended[next]; one !== undefined && one.at < append.askedAt; one = ended[(next += 1)])
      if (furthest === undefined || placeOf(one.append) > placeOf(furthest)) furthest = one.append;
    if (furthest !== undefined && placeOf(furthest) > placeOf(append))
      violations.push(`against time: ${stream} has ${append.value} before ${furthest.value}, asked for after it (I9)`);
  }
  return violations;
}

function misread(stream: string, readings: readonly Reading[], values: readonly string[]): string[] {
  const violations: string[] = [];
  for (const { reader, seen } of readings.filter((reading) => reading.stream === stream)) {
    const wrong = seen.findIndex(({ offset, value }, at) => offset !== at || values[at] !== value);
    const found = seen[wrong];
    if (found !== undefined)
      violations.push(
        `misread: ${reader} was given ${found.value} at ${found.offset} as record ${wrong} of ${stream}, which is ${values[wrong]} (I6, I7)`,
      );
  }
  return violations;
}

function stale(stream: string, appends: readonly Append[], looks: readonly Look[]): string[] {
  const violations: string[] = [];
  const ended = appends
    .flatMap(({ outcome }) =>
      outcome.kind === "acknowledged" && outcome.offset !== undefined
        ? [{ at: outcome.at, offset: outcome.offset }]
        : [],
    )
    .toSorted((a, b) => a.at - b.at);
  let next = 0;
  let least = 0;
  for (const look of looks.filter((each) => each.stream === stream).toSorted((a, b) => a.askedAt - b.askedAt)) {
    for (let one = ended[next]; one !== undefined && one.at < look.askedAt; one = ended[(next += 1)])
      least = Math.max(least, one.offset + 1);
    if (look.nextOffset < least)
      violations.push(
        `stale: ${look.face} said that ${stream} ends at ${look.nextOffset} after ${least} had been acknowledged (I5)`,
      );
  }
  return violations;
}

/** Whichever node it asks, a session is not answered from before what it was told or shown. */
function forgetful(stream: string, reads: readonly SessionRead[]): string[] {
  return reads
    .filter((read) => read.stream === stream && read.nextOffset < read.shown)
    .map(
      ({ client, shown, nextOffset }) =>
        `forgetful: ${client} had been shown ${stream} up to ${shown}, and then up to ${nextOffset} (I6)`,
    );
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
