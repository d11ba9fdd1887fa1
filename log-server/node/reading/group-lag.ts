/**
 * How far behind a group is in time: when, in log time, the first record was appended that it has not processed. That is
 * in the log, not in the state; what was found is kept, for it never changes.
 */
import type { Clock } from "../../../src/ports/clock.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamsMachine } from "../../streams/machine.ts";
import type { NodeLimits } from "../limits.ts";
import type { NodeParts } from "../node-parts.ts";
import type { Reader } from "./reader.ts";

export type LagPart = { readonly streamId: number; readonly committed: Offset; readonly tail: Offset };

export class GroupLag {
  readonly #reader: Reader;
  readonly #machine: StreamsMachine;
  readonly #limits: NodeLimits;
  readonly #clock: Pick<Clock, "now">;
  /** By stream and offset; the oldest go first. */
  readonly #times = new Map<string, number>();

  constructor(reader: Reader, { machine, limits, clock }: Pick<NodeParts, "machine" | "limits" | "clock">) {
    this.#reader = reader;
    this.#machine = machine;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** In milliseconds, one for each part; undefined where it is not known: damage, or too much to look up at once. */
  async of(parts: readonly LagPart[]): Promise<readonly (number | undefined)[]> {
    // The log time that an entry would have: a lag grows, though nothing else happens.
    const now = Math.max(this.#machine.logTime, this.#clock.now());
    const lags: (number | undefined)[] = [];
    let room = this.#limits.lagLookUpsMax;
    for (const part of parts) {
      if (part.committed >= part.tail) {
        lags.push(0);
        continue;
      }
      let appendedAt = this.#times.get(keyOf(part));
      if (appendedAt === undefined && room > 0) {
        room -= 1;
        appendedAt = await this.#lookUp(part);
      }
      lags.push(appendedAt === undefined ? undefined : Math.max(0, now - appendedAt));
    }
    return lags;
  }

  async #lookUp(part: LagPart): Promise<number | undefined> {
    const stream = this.#machine.streamById(part.streamId);
    if (stream === undefined) return undefined;
    const from = Math.max(part.committed, stream.firstOffset);
    const read = await this.#reader.read(stream, from, { maxBytes: 1 });
    // Nothing there though the stream goes on: compaction took all of it, and nothing is overdue.
    if (!read.ok) return undefined;
    const [first] = read.value.batches;
    if (first === undefined) return undefined;
    this.#keep(keyOf(part), first.logTime);
    return first.logTime;
  }

  #keep(key: string, logTime: number): void {
    if (this.#times.size >= this.#limits.lagTimesMax) {
      for (const oldest of this.#times.keys()) {
        this.#times.delete(oldest);
        break;
      }
    }
    this.#times.set(key, logTime);
  }
}

function keyOf({ streamId, committed }: LagPart): string {
  return `${streamId}/${committed}`;
}
