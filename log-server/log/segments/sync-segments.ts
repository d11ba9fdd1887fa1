/**
 * Makes the names in `segments/` durable. Several do so at a time, and a sync that fails is of all names that were not
 * durable yet: the next one may only seem to save them (P30). So a failure is final for everybody who relies on a name.
 */
import { type Disk, DiskError } from "../../../src/ports/disk.ts";
import type { LogLayout } from "../log-layout.ts";
import type { Poison } from "../poison.ts";

export type SegmentFolder = { readonly disk: Disk; readonly layout: LogLayout; readonly poison: Poison };

/** Rejects with `DiskError`, the log being poisoned, if this or another sync failed meanwhile. */
export async function syncSegments({ disk, layout, poison }: SegmentFolder): Promise<void> {
  try {
    await disk.syncDirectory(layout.segments);
  } catch (error) {
    throw poison.with(error);
  }
  const { error } = poison;
  if (error === undefined) return;
  throw new DiskError("io", layout.segments, `a sync failed meanwhile: ${error.message}`, { cause: error });
}
