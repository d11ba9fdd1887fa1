/** What a node finds on its disk: whatever stands there, it is refused or it is what was written (I13). */
import { readBatchHead } from "../../../log-server/log/rewrite/compacted-file.ts";
import { readEntryHead } from "../../../log-server/log/entries/entry-codec.ts";
import { FilePool } from "../../../log-server/log/segments/file-pool.ts";
import { FRAME_HEADER_LENGTH, readFrameHeader, seedOfSegment } from "../../../log-server/log/entries/frame.ts";
import { readSlot, SLOT_LENGTH } from "../../../log-server/log/hard-state.ts";
import { PAGE_BYTES } from "../../../log-server/log/index/index-pages.ts";
import { LogLayout } from "../../../log-server/log/log-layout.ts";
import { IndexReader } from "../../../log-server/log/segments/sealed-segment.ts";
import { NEWEST_SLOT_LENGTH, readNewestSlot } from "../../../log-server/log/segments/newest-segment.ts";
import { readSegmentHeader, SEGMENT_HEADER_LENGTH } from "../../../log-server/log/segments/segment-header.ts";
import { scanSegment } from "../../../log-server/log/segments/segment-scan.ts";
import { readSnapshotFile, writeSnapshotFile } from "../../../log-server/log/snapshots/snapshot-file.ts";
import { STREAMS_LIMITS } from "../../../log-server/streams/limits.ts";
import { restoreState } from "../../../log-server/streams/restore.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { asDigest, rowHash } from "../../../src/record/row.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { TINY_LIMITS } from "../../log/log-world.ts";
import { cheap, costly, demand, type Target, type Verdict } from "../target.ts";
import { SEQUENCE, hashed, framed, framePlaces, sealBlock } from "./disk-seals.ts";
import {
  ROWS,
  SNAPSHOT_META,
  BATCH_FRAMES,
  SEGMENT_HEADERS,
  entryFrames,
  writeSegment,
  writeHardState,
  writeIndex,
  writeNewest,
  rowFiles,
  rowsOf,
} from "./disk-samples.ts";

const FILE_INPUTS = 10;
const layout = new LogLayout("log");

const STRUCTURES: readonly Target[] = [
  cheap({
    name: "segment header",
    samples: SEGMENT_HEADERS,
    seal: (bytes) => hashed(bytes, 0, SEGMENT_HEADER_LENGTH, BigInt(SEQUENCE)),
    check: (bytes) => {
      const header = readSegmentHeader(bytes, SEQUENCE);
      if ("kind" in header) return "refused";
      demand(header.sequence === SEQUENCE, "a header of another segment does not fit");
      return "accepted";
    },
  }),
  cheap({
    name: "compacted batch head",
    samples: BATCH_FRAMES,
    seal: (bytes) => framed(bytes, 0, 0),
    check: (bytes) => {
      const head = readBatchHead(bytes, SEQUENCE, 0);
      if (head === undefined) return "refused";
      demand(readBatchHead(bytes, SEQUENCE, 8) === undefined, "a frame is of one place");
      return "accepted";
    },
  }),
  cheap({
    name: "entry head",
    samples: entryFrames(),
    seal: (bytes) => framed(bytes, 0, 0),
    check: (bytes) => {
      const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const frame = readFrameHeader(bytes, data, 0, seedOfSegment(SEQUENCE), 0);
      if (frame === undefined || frame === "unsupported") return "refused";
      if (FRAME_HEADER_LENGTH + frame.headLength > bytes.length) return "refused";
      const head = readEntryHead(bytes, data, FRAME_HEADER_LENGTH, frame.headLength, 0);
      if (head === undefined) return "refused";
      demand(head.head.length + head.batches.length <= frame.headLength, "no more than its length pays for");
      return "accepted";
    },
  }),
  cheap({
    name: "machine rows",
    samples: rowFiles(),
    check: (bytes) => {
      const rows = rowsOf(bytes);
      if (rows === undefined) return "refused";
      return restoreState(rows, STREAMS_LIMITS).ok ? "accepted" : "refused";
    },
  }),
];

const FILES: readonly Target[] = [
  await fileTarget({
    name: "segment scan",
    write: writeSegment,
    seal: (bytes, pick) => {
      // The frame behind a place that is a multiple of eight, or the segment's header.
      if (pick(4) === 0) return hashed(bytes, 0, SEGMENT_HEADER_LENGTH, BigInt(SEQUENCE));
      const places = framePlaces(bytes);
      const place = places[pick(places.length)];
      return place === undefined ? bytes : framed(bytes, place, place);
    },
    check: async (file, size) => {
      const scanned = await scanSegment(file, SEQUENCE, 0, () => undefined);
      if (!scanned.ok) return "refused";
      let place = SEGMENT_HEADER_LENGTH;
      for (const piece of scanned.value.pieces) {
        demand(piece.place === place && piece.end > place, "pieces follow on each other");
        place = piece.end;
      }
      const { fileBytes, header, pieces } = scanned.value;
      demand(fileBytes === size, "all of the file was read");
      return header !== undefined && pieces.every(({ kind }) => kind !== "damaged") ? "accepted" : "refused";
    },
  }),
  await fileTarget({
    name: "snapshot file",
    write: (file) => writeSnapshotFile(file, 0, SEQUENCE, SNAPSHOT_META, ROWS),
    seal: (bytes, pick) => sealBlock(bytes, pick),
    check: async (file) => {
      const read = await readSnapshotFile(file, { logId: 0, position: SEQUENCE }, { keepRows: true });
      if (!read.ok) return "refused";
      const rows = [...read.value.rows];
      const digest = asDigest(rows.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n));
      demand(digest === read.value.meta.digest, "I13: the rows are those of the digest");
      return "accepted";
    },
  }),
  await fileTarget({
    name: "hard state slot",
    write: writeHardState,
    seal: (bytes) => hashed(bytes, 0, SLOT_LENGTH, 0n),
    check: async (file) => ((await readSlot(file, 0)).kind === "intact" ? "accepted" : "refused"),
  }),
  await fileTarget({
    name: "newest segment slot",
    write: writeNewest,
    seal: (bytes) => hashed(bytes, 0, NEWEST_SLOT_LENGTH, 0n),
    check: async (file) => ((await readNewestSlot(file, 0)) === undefined ? "refused" : "accepted"),
  }),
  await fileTarget({
    name: "index block",
    write: writeIndex,
    seal: (bytes, pick) => {
      const page = pick(Math.max(1, Math.floor(bytes.length / PAGE_BYTES)));
      return hashed(bytes, page * PAGE_BYTES, PAGE_BYTES, (BigInt(SEQUENCE) << 24n) + BigInt(page));
    },
    check: async (_file, _size, disk) => {
      const reader = new IndexReader(new FilePool(disk, TINY_LIMITS), layout, TINY_LIMITS);
      const segment = await reader.open(SEQUENCE);
      if (segment === undefined) return "refused";
      const streams = await reader.streams(segment);
      if (segment.facts.entryCount > 0) await reader.entry(segment, 0);
      for (const { streamId } of streams ?? []) await reader.stream(segment, streamId);
      return streams === undefined ? "refused" : "accepted";
    },
  }),
];

export const DISK_TARGETS: readonly Target[] = [...STRUCTURES, ...FILES];

type FileTarget = {
  readonly name: string;
  readonly write: (file: DiskFile) => Promise<void>;
  readonly seal: (bytes: Uint8Array, pick: (n: number) => number) => Uint8Array;
  readonly check: (file: DiskFile, size: number, disk: SimDisk) => Promise<Verdict>;
};

/** A file of its own format, mutated as a whole. */
async function fileTarget({ name, write, seal, check }: FileTarget): Promise<Target> {
  const path = layout.file(SEQUENCE, "index");
  const put = async (fill: (file: DiskFile) => Promise<void>): Promise<{ disk: SimDisk; file: DiskFile }> => {
    const disk = new SimDisk();
    await disk.createDirectory(layout.segments);
    const file = await disk.open(path, "create");
    await fill(file);
    return { disk, file };
  };
  const { disk: written } = await put(write);
  return costly({
    name,
    samples: [written.bytes(path)],
    everyInputs: FILE_INPUTS,
    seal,
    open: () =>
      Promise.resolve({
        check: async (bytes) => {
          const { disk, file } = await put((empty) => empty.write(0, [bytes]));
          return check(file, bytes.length, disk);
        },
      }),
  });
}
