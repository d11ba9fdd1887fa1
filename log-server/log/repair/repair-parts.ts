/** What those who look for damage and make it good share of a log: its files, what it knows of them, and what is wrong. */
import type { Disk } from "../../../src/ports/disk.ts";
import type { LogLayout } from "../log-layout.ts";
import type { LogLimits } from "../limits.ts";
import type { Poison } from "../poison.ts";
import type { FilePool } from "../segments/file-pool.ts";
import type { IndexReader } from "../segments/sealed-segment.ts";
import type { SegmentFiles } from "../segments/segment-files.ts";
import type { SegmentList } from "../segments/segment-list.ts";
import type { DamageList } from "./damage.ts";

export type RepairParts = {
  readonly disk: Disk;
  readonly layout: LogLayout;
  readonly limits: LogLimits;
  readonly logId: number;
  readonly segments: SegmentList;
  readonly indexReader: IndexReader;
  readonly files: SegmentFiles;
  readonly pool: FilePool;
  readonly damage: DamageList;
  readonly poison: Poison;
};
