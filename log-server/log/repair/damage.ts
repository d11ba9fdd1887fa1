/**
 * What is known to be wrong with what this disk holds: found at a start, or when something was read. Damage is never
 * served and never deleted (I13); everything beside it still is served.
 */
import type { BatchRow } from "../index/index-block.ts";
import type { LogLimits } from "../limits.ts";

/**
 * `entry`: entries whose heads cannot be read, so that they cannot be applied again. `batch`: the bytes of a batch;
 * its entry is intact otherwise. `index`: where a stream's batches are cannot be known. `segment`: a whole file, or
 * its header. `snapshot`: a snapshot that nothing is served from before the next start.
 */
export type DamageKind = "entry" | "batch" | "index" | "segment" | "snapshot";

export type Damage = {
  readonly kind: DamageKind;
  readonly message: string;
  /** The segment's sequence, where it is known. */
  readonly segment?: number;
  /** Bytes in the segment's file. */
  readonly place?: number;
  /** The first and last entry concerned. */
  readonly firstIndex?: number;
  readonly lastIndex?: number;
  readonly streamId?: number;
  readonly firstOffset?: number;
  /** Behind the last record concerned, where that is known. */
  readonly endOffset?: number;
};

/** What is to be said of a batch whose bytes are not what they were. */
export function damageOfBatch(
  segment: number,
  { place, streamId, firstOffset, span }: Pick<BatchRow, "place" | "streamId" | "firstOffset" | "span">,
): Damage {
  const message = `the records from offset ${firstOffset} of stream ${streamId} on are damaged`;
  return { kind: "batch", segment, place, streamId, firstOffset, endOffset: firstOffset + span, message };
}

/** The findings, each once, bounded: when full, newer ones are only counted. */
export class DamageList {
  readonly #limits: LogLimits;
  readonly #byKey = new Map<string, Damage>();
  #dropped = 0;

  constructor(limits: LogLimits) {
    this.#limits = limits;
  }

  get all(): readonly Damage[] {
    return [...this.#byKey.values()];
  }

  /** How many did not fit. */
  get dropped(): number {
    return this.#dropped;
  }

  /** What was found in this segment is made good, or found again. */
  resolve(segment: number, kinds: readonly DamageKind[]): void {
    for (const [key, damage] of this.#byKey)
      if (damage.segment === segment && kinds.includes(damage.kind)) this.#byKey.delete(key);
  }

  /** The segment is no part of the log any more: what was carried over from it is another's damage. */
  forget(segment: number): void {
    for (const [key, damage] of this.#byKey) if (damage.segment === segment) this.#byKey.delete(key);
  }

  /** They were all looked at, or written anew. */
  resolveSnapshots(): void {
    for (const [key, { kind }] of this.#byKey) if (kind === "snapshot") this.#byKey.delete(key);
  }

  add(damage: Damage): Damage {
    const key = `${damage.kind}/${damage.segment}/${damage.place}/${damage.firstIndex}/${damage.streamId}/${damage.firstOffset}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#byKey.size < this.#limits.damageMax) this.#byKey.set(key, damage);
    else this.#dropped += 1;
    return damage;
  }
}
