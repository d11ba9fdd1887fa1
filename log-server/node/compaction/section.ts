/**
 * What one pass compacts of one stream: the records before `before`, of which those before `cleanBefore` went through
 * earlier passes. Of these the newest of each key is left, so with the newest offsets of what came after them it is
 * known of every record whether it stays. That is the same as to look at the whole stream, in bounded memory, and
 * depends on nothing but the stream and where the section ends.
 */
import { assert } from "../../../src/lib/assert.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { StreamRecord } from "../../../src/record/record.ts";
import type { Survivors } from "../../log/rewrite/survivors.ts";
import type { OffsetMap } from "./offset-map.ts";

export type Section = {
  readonly streamId: number;
  readonly cleanBefore: Offset;
  readonly before: Offset;
  /** Tombstones before this go, behind what they delete. */
  readonly tombstonesBefore: Offset;
  /** Of the records from `cleanBefore` to `before`. */
  readonly newest: OffsetMap;
};

export function survivesIn(section: Section, offset: Offset, record: StreamRecord): boolean {
  if (record.key === undefined || offset >= section.before) return true;
  const newest = section.newest.newest(record.key);
  if (newest !== undefined && newest !== offset) {
    assert(offset < newest, "I7: the newest record of a key is the last of them");
    return false;
  }
  return record.value !== null || offset >= section.tombstonesBefore;
}

/** What a rewrite leaves: what `neededFrom` says somebody may read, of these streams as far as compaction goes. */
export class SectionSurvivors implements Survivors {
  readonly #sections: ReadonlyMap<number, Section>;
  readonly #neededFrom: (streamId: number) => Offset;

  constructor(sections: ReadonlyMap<number, Section>, neededFrom: (streamId: number) => Offset) {
    this.#sections = sections;
    this.#neededFrom = neededFrom;
  }

  liveFrom(streamId: number): Offset {
    return this.#neededFrom(streamId);
  }

  compactedBefore(streamId: number): Offset {
    return this.#sections.get(streamId)?.before ?? 0;
  }

  survives(streamId: number, offset: Offset, record: StreamRecord): boolean {
    const section = this.#sections.get(streamId);
    return section === undefined || survivesIn(section, offset, record);
  }
}
