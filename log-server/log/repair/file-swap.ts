/**
 * Puts a corrected file in the place of a damaged one: a copy is made beside it, corrected, made durable, and takes over
 * the name in one step. A crash leaves the one or the other, and perhaps a copy that a start removes.
 */
import type { Disk, DiskFile } from "../../../src/ports/disk.ts";
import { createAnew } from "../disk/create-anew.ts";
import { SECTOR_BYTES } from "../entries/frame.ts";
import type { LogLimits } from "../limits.ts";
import type { Patch } from "./mending.ts";
import { isMissing, isUnreadable } from "./unreadable.ts";

export type SwapParts = { readonly disk: Disk; readonly limits: LogLimits };

export type PatchedCopy = {
  readonly from: string;
  /** Where the copy is made. */
  readonly to: string;
  /** Of the file. */
  readonly bytes: number;
  /** Stretches that are zeros before the patches come. */
  readonly blank: readonly { readonly place: number; readonly end: number }[];
  readonly patches: readonly Patch[];
};

/** Makes the copy, synced; without a file to copy, zeros. On failure nothing is left. */
export async function copyPatched({ disk, limits }: SwapParts, copy: PatchedCopy): Promise<void> {
  const target = await createAnew(disk, copy.to);
  try {
    const end = Math.max(copy.bytes, ...copy.patches.map(({ place, bytes }) => place + bytes.length));
    await target.allocate(end);
    await copyAll(disk, limits, copy, target);
    for (const { place, end: behind } of copy.blank)
      await target.write(place, [new Uint8Array(Math.min(behind, end) - place)]);
    for (const { place, bytes } of copy.patches) await target.write(place, [bytes]);
    await target.sync();
  } catch (error) {
    await target.close().catch(() => undefined);
    await disk.remove(copy.to).catch(() => undefined);
    throw error;
  }
  await target.close();
}

async function copyAll(disk: Disk, limits: LogLimits, copy: PatchedCopy, target: DiskFile): Promise<void> {
  let source: DiskFile;
  try {
    source = await disk.open(copy.from, "read");
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  try {
    let unsynced = 0;
    for (let place = 0; place < copy.bytes; place += limits.readBytesMax) {
      const bytes = new Uint8Array(Math.min(limits.readBytesMax, copy.bytes - place));
      await readWhatCan(source, place, bytes);
      await target.write(place, [bytes]);
      unsynced += bytes.length;
      if (unsynced < limits.allocationStepBytes) continue;
      // A little at a time, so that the syncs of appends do not wait for all of it.
      await target.sync();
      unsynced = 0;
    }
  } finally {
    await source.close();
  }
}

/** Sectors that the medium does not give back stay zeros. */
async function readWhatCan(file: DiskFile, place: number, bytes: Uint8Array): Promise<void> {
  try {
    await file.read(place, bytes);
    return;
  } catch (error) {
    if (!isUnreadable(error)) throw error;
  }
  bytes.fill(0);
  if (bytes.length <= SECTOR_BYTES) return;
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES)
    await readWhatCan(file, place + at, bytes.subarray(at, Math.min(bytes.length, at + SECTOR_BYTES)));
}
