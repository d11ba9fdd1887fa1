/**
 * What tasks that begin anew before the first record do not read again: of what they had to read, the records that are no more
 * (SPEC.md, W209). Streams between the app's own stages are none of it: they are filled anew.
 */
import { assert } from "../lib/assert.ts";
import type { Offset } from "../record/offset.ts";
import { BEFORE_RECORDS, compareRecordPlaces, type RecordPlace } from "../record/record-place.ts";
import type { AppName } from "./app-command.ts";
import type { TaskStanding } from "./app-facts.ts";
import { ownerOfInternal } from "./app-streams.ts";
import type { StreamName } from "./command.ts";

/** Offsets `from`, up to, not including, `to`. */
export type GoneInput = { readonly stream: StreamName; readonly from: Offset; readonly to: Offset };

export type LostInput = {
  readonly gone: readonly GoneInput[];
  /** Inputs that are not there. What they had, if they ever were, nobody knows any more. */
  readonly missing: readonly StreamName[];
};

/** By input, from which offset on those that begin before the first record had to read it. */
export type InputBegins = ReadonlyMap<StreamName, Offset>;

/** A task as it stood, and where it is to begin. */
export type Restart = { readonly known: Pick<TaskStanding, "inputs" | "begins">; readonly start: RecordPlace };

export function inputBegins(app: AppName, restarts: Iterable<Restart>): InputBegins {
  const least = new Map<StreamName, Offset>();
  for (const { known, start } of restarts) {
    if (compareRecordPlaces(start, BEFORE_RECORDS) !== 0) continue;
    const { inputs, begins } = known;
    for (const [place, stream] of inputs.entries()) {
      if (ownerOfInternal(stream)?.app === app) continue;
      const from = begins[place];
      assert(from !== undefined, "each input has a beginning");
      least.set(stream, Math.min(from, least.get(stream) ?? from));
    }
  }
  return least;
}

/** `firstOffset`: of the oldest record that a stream keeps; undefined: there is no such stream. */
export function lostInput(begins: InputBegins, firstOffset: (stream: StreamName) => Offset | undefined): LostInput {
  const gone: GoneInput[] = [];
  const missing: StreamName[] = [];
  for (const [stream, from] of begins) {
    const to = firstOffset(stream);
    if (to === undefined) missing.push(stream);
    else if (from < to) gone.push({ stream, from, to });
  }
  return { gone, missing };
}
