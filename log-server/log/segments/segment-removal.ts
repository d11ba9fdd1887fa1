/** Removes the files of a sealed segment, once readers that are in them are done. The sparse index must know that they go. */
import type { FilePool } from "./file-pool.ts";
import type { SealedSegment } from "./sealed-segment.ts";
import { isMissing } from "../repair/unreadable.ts";
import { type SegmentFolder, syncSegments } from "./sync-segments.ts";

/** Again, where that was held up behind it. The block last, durably so: without its segment it means nothing, the segment without it would be a riddle. */
export async function removeSegmentFiles(
  folder: SegmentFolder & { readonly pool: FilePool },
  segment: SealedSegment,
): Promise<void> {
  const { disk, layout, pool } = folder;
  for (const kind of [segment.dataKind, "index"] as const) {
    const path = layout.file(segment.sequence, kind);
    await pool.forget(path);
    try {
      await disk.remove(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    await syncSegments(folder);
  }
}
