/** What a commit took along, read back from the log: to be held against what another replica would have. */
import { equalBytes } from "../lib/bytes.ts";
import type { TaskOutput } from "../operators/engine/task-input.ts";
import type { RecordPlace } from "../record/record-place.ts";
import type { StreamName } from "../wire/command.ts";
import { type Difference, type InputPlace, outputValue, shownBytes } from "./evidence.ts";
import type { MadeOutput } from "./made-outputs.ts";
import type { FeedRecord, TaskLog } from "./task-log.ts";

/** Of one entry, the records in front of the commit's own. `opened` gets what ends the reading. Undefined: it was ended. */
export async function committedOutputs(
  log: TaskLog,
  streams: readonly StreamName[],
  { position, ordinal }: RecordPlace,
  count: number,
  opened: (close: () => void) => void,
): Promise<readonly FeedRecord[] | undefined> {
  // From the entry's first record on.
  const feed = log.follow(
    streams.map((stream) => ({ stream })),
    { position, ordinal: 0, index: -1 },
  );
  opened(() => feed.close());
  const found: FeedRecord[] = [];
  try {
    for (;;) {
      const items = await feed.next();
      if (items === undefined) return undefined;
      for (const item of items) {
        const isBehind =
          (item.kind === "mark" && item.position > position) ||
          (item.kind === "record" && item.place.position > position);
        // Other commits of the same entry come first.
        if (isBehind) return found.slice(Math.max(0, found.length - count));
        if (item.kind === "record" && item.place.position === position && item.place.ordinal < ordinal)
          found.push(item);
      }
    }
  } finally {
    feed.close();
  }
}

/** The first of a replica's outputs that is not what was committed. Within a stream they are in the same order. */
export function outputDifference(
  own: { readonly replica: string; readonly outputs: readonly MadeOutput[] },
  committed: { readonly replica: string; readonly outputs: readonly FeedRecord[] },
  placeOf: (input: MadeOutput["input"]) => InputPlace | undefined,
): Difference | undefined {
  const streams = Map.groupBy(committed.outputs, ({ stream }) => stream);
  const differing = (
    name: string,
    input: MadeOutput["input"],
    mine: TaskOutput | undefined,
    theirs: FeedRecord | undefined,
  ): Difference => {
    const key = mine?.key ?? theirs?.key;
    return {
      what: "output",
      name,
      key: key === undefined ? null : shownBytes(key),
      input: placeOf(input),
      values: { [own.replica]: outputValue(mine), [committed.replica]: outputValue(theirs) },
    };
  };
  for (const { number, output, input } of own.outputs) {
    const theirs = streams.get(output.stream)?.shift();
    if (theirs === undefined || !isSame(output, theirs))
      return differing(`output ${number} to ${output.stream}`, input, output, theirs);
  }
  const [more] = [...streams.values()].flat();
  return more === undefined
    ? undefined
    : differing(`an output to ${more.stream}`, own.outputs.at(-1)?.input, undefined, more);
}

function isSame(a: TaskOutput, b: FeedRecord): boolean {
  const [aHeaders, bHeaders] = [a.headers ?? [], b.headers ?? []];
  return (
    a.timestamp === b.timestamp &&
    sameBytes(a.key, b.key) &&
    sameBytes(a.value, b.value) &&
    aHeaders.length === bHeaders.length &&
    aHeaders.every(([name, value], place) => name === bHeaders[place]?.[0] && sameBytes(value, bHeaders[place][1]))
  );
}

function sameBytes(a: Uint8Array | null | undefined, b: Uint8Array | null | undefined): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? equalBytes(a, b) : (a ?? null) === (b ?? null);
}
