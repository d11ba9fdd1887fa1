/**
 * The disks of nodes that were members and are not any more: whoever comes with one is told that it was removed, which is for
 * good, and not that it is unknown, which it may be only to a node that is behind. Of very many the oldest are forgotten.
 */
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { LEVEL_OF_FORMER_DISKS } from "./feature-level.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";
import type { State } from "./state.ts";

export class FormerDiskRow extends RowOwner {
  readonly disk: string;
  /** Counts them, so that it is known which is the oldest. */
  readonly number: number;

  constructor(disk: string, number: number) {
    super();
    this.disk = disk;
    this.number = number;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.formerDisk).bytes(utf8(this.disk)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writer.varint(this.number));
  }
}

export function readFormerDisk(disk: string, reader: ByteReader): FormerDiskRow | undefined {
  const number = reader.varint();
  return reader.complete ? new FormerDiskRow(disk, number) : undefined;
}

/** A member's disk is one no more. */
export function addFormerDisk({ featureLevel, formerDisks, ledger, limits }: State, disk: string): void {
  if (featureLevel.level < LEVEL_OF_FORMER_DISKS || disk === "" || formerDisks.has(disk)) return;
  let [oldest, newest]: (FormerDiskRow | undefined)[] = [];
  for (const row of formerDisks.values()) {
    if (oldest === undefined || row.number < oldest.number) oldest = row;
    if (newest === undefined || row.number > newest.number) newest = row;
  }
  if (oldest !== undefined && formerDisks.size >= limits.formerDisksMax) {
    formerDisks.delete(oldest.disk);
    ledger.remove(oldest);
  }
  const added = new FormerDiskRow(disk, (newest?.number ?? 0) + 1);
  formerDisks.set(disk, added);
  ledger.put(added);
}

/** It is a member's again. */
export function dropFormerDisk({ formerDisks, ledger }: State, disk: string): void {
  const row = formerDisks.get(disk);
  if (row === undefined) return;
  formerDisks.delete(disk);
  ledger.remove(row);
}
