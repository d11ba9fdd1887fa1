/**
 * Reads a segment that is written no more from end to end, and says what in it is damaged: before somebody asks for it, and
 * while others still have it. A page of an index that its stripe can make good is written anew at once.
 */
import { copyPatched } from "./file-swap.ts";
import { PAGE_BYTES, pageIsIntact, placeOfPage, readPage } from "../index/index-pages.ts";
import type { Exclusively } from "./mender.ts";
import type { Patch } from "./mending.ts";
import type { SealedSegment } from "../segments/sealed-segment.ts";
import type { RepairParts } from "./repair-parts.ts";
import { damagedRows, damageInRows } from "./rewritten-check.ts";
import { checkSegment, damageIn, damageOfIndex, type Pace } from "./segment-check.ts";
import { isMissing } from "./unreadable.ts";
import { syncSegments } from "../segments/sync-segments.ts";

export class Scrubber {
  readonly #parts: RepairParts;

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  /** What is found goes to the list of damage. `pace` is awaited after each piece that was read. */
  async check(sequence: number, pace: Pace, exclusively: Exclusively): Promise<void> {
    const { segments, damage } = this.#parts;
    const segment = segments.bySequence(sequence);
    if (segment === undefined || (segment.kind === "unsealed" && !segment.closed)) return;
    const indexIsKnown = segment.kind === "unsealed" || (await this.#checkIndex(segment, pace, exclusively));
    // What was dropped or replaced meanwhile is gone, not damaged.
    if (!indexIsKnown) {
      if (!segments.holds(segment)) return;
      damage.add(damageOfIndex(segment));
      return;
    }
    if (segment.kind === "sealed" && segment.isRewritten) return this.#checkRewritten(segment, pace);
    const check = await checkSegment(this.#parts, segment, pace);
    if (check === undefined || segments.bySequence(sequence) === undefined) return;
    for (const found of damageIn(check)) damage.add(found);
  }

  /** False where a page can neither be read nor made good, or the block is another segment's. */
  async #checkIndex(segment: SealedSegment, pace: Pace, exclusively: Exclusively): Promise<boolean> {
    const { pool, layout } = this.#parts;
    const path = layout.file(segment.sequence, "index");
    const { pageCount } = segment.tables;
    const patches: Patch[] = [];
    try {
      for (let page = 0; page < pageCount; page += 1) {
        const place = placeOfPage(page);
        const raw = new Uint8Array(PAGE_BYTES);
        const read = await pool.use(path, (file) => file.read(place, raw).catch(() => 0));
        if (read < PAGE_BYTES || !pageIsIntact(raw, segment.sequence, page)) {
          const bytes = await pool.use(path, (file) => readPage(file, segment.sequence, page, pageCount));
          if (bytes === undefined) return false;
          patches.push({ place, bytes });
        }
        await pace(PAGE_BYTES);
      }
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    if (patches.length > 0) await this.#writeIndex(segment, patches, exclusively);
    return this.#parts.indexReader.owns(segment);
  }

  async #writeIndex(segment: SealedSegment, patches: readonly Patch[], exclusively: Exclusively): Promise<void> {
    const { disk, layout, pool, segments } = this.#parts;
    const from = layout.file(segment.sequence, "index");
    const to = layout.file(segment.sequence, "index.new");
    await exclusively(async () => {
      if (!segments.holds(segment)) return;
      await copyPatched(this.#parts, { from, to, bytes: segment.tables.fileBytes, blank: [], patches });
      await disk.rename(to, from);
      await syncSegments(this.#parts);
      await pool.forget(from);
    });
  }

  async #checkRewritten(segment: SealedSegment, pace: Pace): Promise<void> {
    const { segments, damage } = this.#parts;
    const rows = await damagedRows(this.#parts, segment, pace);
    if (rows === undefined || !segments.holds(segment)) return;
    for (const found of damageInRows(segment, rows)) damage.add(found);
  }
}
