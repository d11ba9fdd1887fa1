/**
 * Compares a folder's sealed segments with what is known of them elsewhere: each one's index says what stands in its file, and the
 * image's sparse index of which block that is. A file that is whole by itself may still be cut short, or another node's.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hex64 } from "../../../src/lib/bytes.ts";
import { LOG_ID } from "../../../log-server/folder-layout.ts";
import { openRealDisk } from "../../../log-server/log/disk/real-disk.ts";
import { digestOfFacts } from "../../../log-server/log/index/index-block.ts";
import { LOG_LIMITS } from "../../../log-server/log/limits.ts";
import { LogLayout } from "../../../log-server/log/log-layout.ts";
import { damagedRows } from "../../../log-server/log/repair/rewritten-check.ts";
import { checkSegment, type CheckParts } from "../../../log-server/log/repair/segment-check.ts";
import { FilePool } from "../../../log-server/log/segments/file-pool.ts";
import { IndexReader, type SealedSegment } from "../../../log-server/log/segments/sealed-segment.ts";
import { SegmentFiles } from "../../../log-server/log/segments/segment-files.ts";
import type { SealedKnown } from "./image.ts";

const LOST = "what its index says stands here does not";

/** Without a place it is the whole file. */
export type SealedFinding = {
  readonly file: string;
  readonly what: string;
  readonly place?: number;
  readonly end?: number;
};

/** `data`: the node's folder. `sequences`: of the blocks that are there. `known`: what the image says. */
export async function findingsInSealed(
  data: string,
  sequences: readonly number[],
  known: readonly SealedKnown[],
): Promise<readonly SealedFinding[]> {
  const layout = new LogLayout(`logs/${LOG_ID}`);
  const pool = new FilePool(openRealDisk(data), LOG_LIMITS);
  const indexReader = new IndexReader(pool, layout, LOG_LIMITS);
  const files = new SegmentFiles(layout, LOG_LIMITS, pool);
  const parts: CheckParts = { logId: LOG_ID, limits: LOG_LIMITS, indexReader, files };
  const blocks = new Map(known.map(({ sequence, block }) => [sequence, block]));
  const findings: SealedFinding[] = [];
  try {
    for (const sequence of sequences) {
      const segment = await indexReader.open(sequence);
      // Its pages are damaged, as was found before.
      if (segment === undefined) continue;
      const block = blocks.get(sequence);
      if (block !== undefined && block !== hex64(digestOfFacts(segment.facts)))
        findings.push({
          file: join(data, layout.file(sequence, "index")),
          what: "it is another one's index: the image knows this segment otherwise",
        });
      const file = join(data, layout.file(sequence, segment.dataKind));
      if (existsSync(file))
        for (const extent of await lostIn(parts, segment)) findings.push({ file, ...extent, what: LOST });
    }
  } finally {
    await pool.close();
  }
  return findings;
}

/** Where what the index says is not there. */
async function lostIn(
  parts: CheckParts,
  segment: SealedSegment,
): Promise<readonly Pick<SealedFinding, "place" | "end">[]> {
  if (segment.isRewritten) {
    const rows = (await damagedRows(parts, segment)) ?? [];
    return rows.map(({ place, length }) => ({ place, end: place + length }));
  }
  const check = await checkSegment(parts, segment);
  if (check === undefined) return [];
  return [...check.broken.keys()].map((slot) => {
    const place = check.place[slot] as number;
    // Damage hid it when the segment was sealed.
    if (place === 0) return {};
    return { place, end: place + (check.length[slot] as number) };
  });
}
