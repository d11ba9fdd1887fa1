/**
 * A client that keeps a table in a stream under key compaction: it sets and deletes a few keys, each time to a new
 * version, and knows which versions it was told are durable. However the stream is compacted, read as a table it must
 * show, of each key, no older version than that, and never one again that was deleted.
 */
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { Violation } from "./history.ts";

const KEYS = 8;
const RECORDS_MAX = 5;
export const TABLE_STREAM = "table";
/** Short, so that tombstones go within a run. */
export const TABLE_RETENTION = { compaction: { tombstoneMs: 1_000 } } as const;

type Key = {
  /** Versions are counted from 1; whether each deletes the key. */
  readonly deletes: boolean[];
  /** The newest that is known to be there, by an answer or by having been read. */
  known: number;
};

export type TableRecord = {
  readonly offset: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | null;
};

/** What one append writes: versions by key. */
export type TableWrite = { readonly records: readonly StreamRecord[]; readonly versions: ReadonlyMap<number, number> };

export class Table {
  readonly #prng: Prng;
  readonly #keys: readonly Key[] = Array.from({ length: KEYS }, () => ({ deletes: [], known: 0 }));

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  write(filler: string): TableWrite {
    const versions = new Map<number, number>();
    const records = Array.from({ length: 1 + this.#prng.below(RECORDS_MAX) }, (): StreamRecord => {
      const number = this.#prng.below(KEYS);
      const { deletes } = this.#keys[number] as Key;
      const isDelete = this.#prng.chance(0.2);
      deletes.push(isDelete);
      versions.set(number, deletes.length);
      const value = isDelete ? null : utf8(`${number}/${deletes.length} ${filler}`);
      return { key: utf8(`key ${number}`), value };
    });
    return { records, versions };
  }

  acknowledged({ versions }: TableWrite): void {
    for (const [number, version] of versions) this.#known(number, version);
  }

  /** `records`: all that can be read. `partial`: damage hides the rest, so that nothing may be said of what is missing. */
  check(records: readonly TableRecord[], partial: boolean): void {
    const table = new Map<number, number>();
    let last = -1;
    for (const { offset, key, value } of records) {
      if (offset <= last) throw new Violation(`I7: ${TABLE_STREAM}@${offset} was read behind ${last}`);
      last = offset;
      const number = KEY_NAMES.indexOf(text(key ?? new Uint8Array()) ?? "");
      if (number < 0) throw new Violation(`I6: ${TABLE_STREAM}@${offset} has a key that nobody sent`);
      if (value === null) table.delete(number);
      else table.set(number, this.#versionOf(number, offset, value));
    }
    if (partial) return;
    this.#keys.forEach(({ deletes, known }, number) => {
      const version = table.get(number);
      if (version === undefined) {
        const isDeleted = known === 0 || deletes.slice(known - 1).includes(true);
        if (!isDeleted) throw new Violation(`I6: key ${number} is gone; its version ${known} was there`);
        return;
      }
      if (version < known)
        throw new Violation(`I6: key ${number} has version ${version} again; its version ${known} was there`);
      this.#known(number, version);
    });
  }

  #versionOf(number: number, offset: number, value: Uint8Array): number {
    const [, owner, version] = /^(\d+)\/(\d+) /.exec(text(value) ?? "") ?? [];
    const { deletes } = this.#keys[number] as Key;
    if (Number(owner) !== number || deletes[Number(version) - 1] !== false)
      throw new Violation(`I6: ${TABLE_STREAM}@${offset} is what nobody sent for key ${number}`);
    return Number(version);
  }

  #known(number: number, version: number): void {
    const key = this.#keys[number] as Key;
    key.known = Math.max(key.known, version);
  }
}

const KEY_NAMES: readonly string[] = Array.from({ length: KEYS }, (_, number) => `key ${number}`);
