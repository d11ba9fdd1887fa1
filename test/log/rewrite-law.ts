/**
 * What survives, decided without keys: of each stream some records are dead for good below a frontier that grows. And
 * what a log must then serve, compared with what was appended.
 */
import type { Survivors } from "../../log-server/log/rewrite/survivors.ts";
import { assert } from "../../src/lib/assert.ts";
import type { DecodedRecord } from "../../src/record/batch-codec.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import type { Entry } from "../../src/wire/entry.ts";
import { type ExpectedBatch, expectedStreams, type LogWorld } from "./log-world.ts";

export class Law implements Survivors {
  readonly live = new Map<number, number>();
  readonly compacted = new Map<number, number>();
  /** Of a hundred records below the frontier, so many survive. */
  survivingOfHundred = 20;

  liveFrom(streamId: number): number {
    return this.live.get(streamId) ?? 0;
  }

  compactedBefore(streamId: number): number {
    return this.compacted.get(streamId) ?? 0;
  }

  survives(streamId: number, offset: number): boolean {
    assert(offset < this.compactedBefore(streamId), "asked only below the frontier");
    return ((offset * 2_654_435_761 + streamId * 40_503) >>> 7) % 100 < this.survivingOfHundred;
  }

  mayGo(streamId: number, offset: number): boolean {
    return (
      offset < this.liveFrom(streamId) || (offset < this.compactedBefore(streamId) && !this.survives(streamId, offset))
    );
  }

  clone(): Law {
    const law = new Law();
    for (const [stream, offset] of this.live) law.live.set(stream, offset);
    for (const [stream, offset] of this.compacted) law.compacted.set(stream, offset);
    law.survivingOfHundred = this.survivingOfHundred;
    return law;
  }
}

export type Left = {
  readonly batches: number;
  readonly sparse: number;
  readonly records: number;
  /** Offsets at or behind `liveFrom` that were not served. */
  readonly gone: number;
};

function recordsOf(bytes: Uint8Array): readonly DecodedRecord[] {
  const decoded = decodeBatch(bytes, { rawBytesMax: 1e9 });
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.records;
}

/**
 * Reads every stream from its frontier on. What survives is there, in order, once, as it was appended, in the batch and at
 * the place in the log that it was appended with; what is dead may be. With `exact`, nothing that may go is served
 * before that offset, but for what a trim left in a batch that is whole. Throws what a read refuses.
 */
export async function expectLeft(
  world: LogWorld,
  entries: readonly Entry[],
  law: Law,
  where: string,
  exact: ReadonlyMap<number, number> = new Map(),
): Promise<Left> {
  let batches = 0;
  let sparse = 0;
  let records = 0;
  let gone = 0;
  for (const [stream, appended] of expectedStreams(entries)) {
    const from = law.liveFrom(stream);
    const end = appended.at(-1) === undefined ? 0 : endOf(appended.at(-1) as ExpectedBatch);
    if (from >= end) continue;
    const byFirst = new Map(appended.map((batch) => [batch.firstOffset, batch]));
    const seen = new Set<number>();
    let next = from;
    while (next < end) {
      const read = await world.log.read(stream, next, end, 150);
      if (!read.ok) throw new Error(`${where}: ${read.error.message}`);
      if (read.value.length === 0) break;
      for (const stored of read.value) {
        const at = `${where}: stream ${stream} at ${stored.firstOffset}`;
        const original = byFirst.get(stored.firstOffset);
        if (original === undefined || stored.span !== original.batch.span) throw new Error(`${at} is no batch`);
        if (stored.firstOffset + stored.span <= next) throw new Error(`${at} comes again`);
        if (stored.position !== original.index || stored.ordinal !== original.ordinal)
          throw new Error(`${at} has another place in the log`);
        if (stored.logTime !== 1_000 + original.index) throw new Error(`${at} has another log time`);
        const whole = stored.hash === original.batch.hash;
        const before = recordsOf(original.batch.bytes as Uint8Array);
        const after = recordsOf(stored.bytes);
        if (whole && after.length !== before.length) throw new Error(`${at} is not whole`);
        if (!whole && after.length >= before.length) throw new Error(`${at} has another hash without need`);
        for (const { offsetDelta, record } of after) {
          const appendedRecord = before[offsetDelta]?.record;
          if (Buffer.compare(record.value as Uint8Array, appendedRecord?.value as Uint8Array) !== 0)
            throw new Error(`${at} holds what was not appended`);
          const offset = stored.firstOffset + offsetDelta;
          if (offset < from) continue;
          if (seen.has(offset)) throw new Error(`${at}: offset ${offset} twice`);
          seen.add(offset);
        }
        batches += 1;
        if (!whole) sparse += 1;
        next = stored.firstOffset + stored.span;
      }
    }
    for (let offset = from; offset < end; offset += 1) {
      if (!seen.has(offset) && !law.mayGo(stream, offset))
        throw new Error(`${where}: offset ${offset} of stream ${stream} is lost`);
      if (seen.has(offset) && offset < (exact.get(stream) ?? 0) && law.mayGo(stream, offset))
        throw new Error(`${where}: offset ${offset} of stream ${stream} is still there`);
      if (!seen.has(offset)) gone += 1;
    }
    records += seen.size;
  }
  return { batches, sparse, records, gone };
}

function endOf({ firstOffset, batch }: ExpectedBatch): number {
  return firstOffset + batch.span;
}

/** For each stream, up to where all of it lies in segments that can be rewritten. */
export function compactableBefore(world: LogWorld, position: number): Map<number, number> {
  const sequences = new Set(
    world.log
      .sealedSegments()
      .filter((segment) => segment.lastIndex <= position)
      .map((segment) => segment.sequence),
  );
  const before = new Map<number, number>();
  for (const stream of world.machine.next.keys()) {
    for (const part of world.log.streamSegments(stream))
      if (part.sequence !== undefined && sequences.has(part.sequence)) before.set(stream, part.endOffset);
  }
  return before;
}
