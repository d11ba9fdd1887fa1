/** Index blocks: what is written is found again, with few pages read; a damaged page is rebuilt or refused. */
import { describe, expect, it } from "vitest";
import { FilePool } from "../../log-server/log/segments/file-pool.ts";
import { NO_STREAM } from "../../log-server/log/index/index-block.ts";
import { writeIndexBlock } from "../../log-server/log/index/index-block-writer.ts";
import { PAGE_BYTES } from "../../log-server/log/index/index-pages.ts";
import { LogLayout } from "../../log-server/log/log-layout.ts";
import { IndexReader, type SealedSegment } from "../../log-server/log/segments/sealed-segment.ts";
import { type BatchPlacement, SegmentIndex } from "../../log-server/log/segments/segment-index.ts";
import { Prng } from "../../src/lib/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { TINY_LIMITS } from "./log-world.ts";

const layout = new LogLayout("log");
const PATH = layout.file(3, "index");

type Expected = {
  readonly streamId: number;
  readonly firstOffset: number;
  readonly span: number;
  readonly place: number;
};

/** A segment of many entries over many streams, written to a disk. */
async function written(entryCount: number, streamCount: number): Promise<{ disk: SimDisk; batches: Expected[] }> {
  const prng = new Prng(1);
  const index = new SegmentIndex(100);
  const next = new Map<number, number>();
  const batches: Expected[] = [];
  let place = 512;
  for (let slot = 0; slot < entryCount; slot += 1) {
    const firstRow = index.rows.count;
    const rowCount = prng.below(4);
    const placements: BatchPlacement[] = [];
    for (let row = 0; row < rowCount; row += 1) {
      const span = 1 + prng.below(5);
      index.rows.add(place, 50, span, BigInt(place), slot);
      const streamId = prng.below(streamCount);
      if (prng.chance(0.1)) {
        placements.push({ accepted: false });
      } else {
        const firstOffset = next.get(streamId) ?? streamId;
        next.set(streamId, firstOffset + span);
        placements.push({ accepted: true, streamId, incarnation: streamId + 1, firstOffset, span });
        batches.push({ streamId, firstOffset, span, place });
      }
      place += 56;
    }
    const term = 1 + Math.floor(slot / 100);
    index.stage({ place, length: 64, term, hash: 1n, logTime: slot, firstRow, rowCount, intact: slot !== 7 });
    index.commit();
    index.place(100 + slot, placements);
  }
  const disk = new SimDisk();
  await disk.createDirectory(layout.segments);
  const file = await disk.open(PATH, "create");
  const end = { index: 99 + entryCount, term: 9, hash: 5n, logTime: entryCount };
  await writeIndexBlock(file, { logId: 0, sequence: 3, end, fileBytes: 4_096, index });
  await file.sync();
  await file.close();
  return { disk, batches };
}

async function opened(disk: Disk): Promise<{ reader: IndexReader; segment: SealedSegment | undefined }> {
  const reader = new IndexReader(new FilePool(disk, TINY_LIMITS), layout, TINY_LIMITS);
  return { reader, segment: await reader.open(3) };
}

async function expectFound(reader: IndexReader, segment: SealedSegment, batches: readonly Expected[]): Promise<void> {
  for (const batch of batches) {
    const record = await reader.stream(segment, batch.streamId);
    if (record === undefined || record === "absent") throw new Error("the stream is not found");
    for (const offset of [batch.firstOffset, batch.firstOffset + batch.span - 1]) {
      const at = await reader.findRow(segment, record.firstRow, record.rowCount, offset);
      expect(await reader.row(segment, at as number)).toMatchObject(batch);
    }
  }
}

describe("an index block", () => {
  it.each([
    [1, 1],
    [30, 2],
    [900, 300],
  ])("of %i entries and %i streams finds every batch", async (entryCount, streamCount) => {
    const { disk, batches } = await written(entryCount, streamCount);
    const { reader, segment } = await opened(disk);
    if (segment === undefined) throw new Error("not opened");
    expect(segment).toMatchObject({ firstIndex: 100, lastIndex: 99 + entryCount });
    expect(segment.terms.map((run) => run.firstIndex)).toEqual(
      Array.from({ length: Math.ceil(entryCount / 100) }, (_, run) => 100 + run * 100),
    );
    await expectFound(reader, segment, batches);
    expect(await reader.stream(segment, streamCount)).toBe("absent");
    const streams = await reader.streams(segment);
    expect(streams?.filter((record) => record.streamId !== NO_STREAM).length).toBe(
      new Set(batches.map((batch) => batch.streamId)).size,
    );
    // Its head is damaged; where it stood is known all the same.
    if (entryCount > 7) expect(await reader.entry(segment, 7)).toMatchObject({ length: 64 });
    expect(reader.cachedPages).toBeLessThanOrEqual(TINY_LIMITS.indexPagesMax);
  });

  it("survives the loss of any one page in sixteen", async () => {
    const { disk, batches } = await written(900, 50);
    const pages = disk.bytes(PATH).length / PAGE_BYTES;
    expect(pages).toBeGreaterThan(17);
    for (let page = 0; page < pages; page += 1) {
      const harmed = disk.crash({ kind: "all" });
      harmed.poke(PATH, page * PAGE_BYTES, new Uint8Array(PAGE_BYTES).fill(page % 2 === 0 ? 0 : 7));
      const { reader, segment } = await opened(harmed);
      if (segment === undefined) throw new Error("not opened");
      await expectFound(
        reader,
        segment,
        batches.filter((_, at) => at % 9 === page % 9),
      );
    }
  });

  it("refuses what two lost pages of a stripe hide, and gives the rest", async () => {
    const { disk, batches } = await written(900, 50);
    disk.poke(PATH, 4 * PAGE_BYTES, new Uint8Array(PAGE_BYTES));
    disk.poke(PATH, 5 * PAGE_BYTES, new Uint8Array(PAGE_BYTES));
    const { reader, segment } = await opened(disk);
    if (segment === undefined) throw new Error("not opened");
    let refused = 0;
    for (let row = 0; row < segment.facts.rowCount; row += 1)
      if ((await reader.row(segment, row)) === undefined) refused += 1;
    expect(refused).toBe(2 * 78);
    expect(batches.length).toBeGreaterThan(refused);
  });

  it("whose first page is lost with its parity is not opened", async () => {
    const { disk } = await written(10, 2);
    disk.poke(PATH, 0, new Uint8Array(2 * PAGE_BYTES));
    expect((await opened(disk)).segment).toBeUndefined();
  });
});
