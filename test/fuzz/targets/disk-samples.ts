/** Files and rows as a node writes them, small: what disk targets mutate. */
import { encodeBatchFrame } from "../../../log-server/log/rewrite/compacted-file.ts";
import { headLengthOf, writeEntryHead } from "../../../log-server/log/entries/entry-codec.ts";
import {
  aligned,
  FRAME_HEADER_LENGTH,
  seedOfSegment,
  writeFrameHeader,
} from "../../../log-server/log/entries/frame.ts";
import { HardStateFile, SLOT_LENGTH } from "../../../log-server/log/hard-state.ts";
import { LogLayout } from "../../../log-server/log/log-layout.ts";
import { NEWEST_SLOT_LENGTH, NewestSegment } from "../../../log-server/log/segments/newest-segment.ts";
import { Image } from "../../../log-server/log/image.ts";
import { writeIndexBlock } from "../../../log-server/log/index/index-block-writer.ts";
import { encodeSegmentHeader, SEGMENT_HEADER_LENGTH } from "../../../log-server/log/segments/segment-header.ts";
import { SegmentIndex } from "../../../log-server/log/segments/segment-index.ts";
import type { SnapshotMeta } from "../../../log-server/log/snapshots/snapshot-file.ts";
import { STREAMS_LIMITS } from "../../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../../log-server/streams/machine.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { concat, utf8 } from "../../../src/lib/bytes.ts";
import { Prng } from "../../../src/lib/prng.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { BatchRef } from "../../../src/record/batch.ts";
import { asDigest, type Row, rowHash } from "../../../src/record/row.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { SimKv } from "../../../src/sim/kv.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import { makeBatch, makeEntries } from "../../log/log-world.ts";
import { randomEntries } from "../../streams/random-entries.ts";
import { SAMPLE_SEED } from "./samples.ts";
import { SEQUENCE } from "./disk-seals.ts";

const SEGMENT_BYTES = 8_192;
const prng = new Prng(SAMPLE_SEED);

const BATCHES: readonly Required<BatchRef>[] = Array.from({ length: 6 }, () => makeBatch(prng, 60));
export const ENTRIES: readonly Entry[] = makeEntries(new Prng(SAMPLE_SEED), 1, 40);
export const ROWS: readonly Row[] = Array.from(
  { length: 8 },
  (_, key) => [utf8(`key ${key}`), prng.bytes(30)] as const,
);
const DIGEST = asDigest(ROWS.reduce((sum, [key, value]) => sum + rowHash(key, value), 0n));
export const SNAPSHOT_META: SnapshotMeta = {
  term: 2,
  hash: 7n,
  configuration: utf8("abc"),
  logTime: 5,
  digest: DIGEST,
};

export const BATCH_FRAMES = BATCHES.map((batch, ordinal) =>
  encodeBatchFrame(
    {
      logId: 0,
      position: 9 + ordinal,
      ordinal,
      streamId: 4,
      incarnation: 5,
      firstOffset: 100 * ordinal,
      logTime: 7,
      span: batch.span,
      length: batch.length,
      identity: batch.hash,
      hash: batch.hash,
      wasCompressed: ordinal % 2 === 0,
    },
    batch.bytes,
    SEQUENCE,
    0,
  ),
);
export const SEGMENT_HEADERS = [0, 7].map((index) =>
  encodeSegmentHeader({ logId: 0, sequence: SEQUENCE, previous: { index, term: 2, hash: 5n, logTime: 8 } }),
);

/** Frames of entries, each as it stands at the beginning of a segment. */
export function entryFrames(): Uint8Array[] {
  return ENTRIES.slice(0, 12).map((entry) => frameOf(entry, 0));
}

function frameOf(entry: Entry, place: number): Uint8Array {
  const headLength = headLengthOf(entry);
  const behind = concat(entry.batches.map(({ bytes }) => bytes as Uint8Array));
  const length = FRAME_HEADER_LENGTH + headLength + behind.length;
  const frame = new Uint8Array(aligned(length));
  const data = new DataView(frame.buffer);
  writeEntryHead(frame, data, FRAME_HEADER_LENGTH, 0, entry, 0n);
  frame.set(behind, FRAME_HEADER_LENGTH + headLength);
  const segmentSeed = seedOfSegment(SEQUENCE);
  writeFrameHeader(frame, data, 0, { kind: "entry", segmentSeed, place, length, syncedUpTo: 0, headLength });
  return frame;
}

export async function writeSegment(file: DiskFile): Promise<void> {
  await file.allocate(SEGMENT_BYTES);
  await file.write(0, [SEGMENT_HEADERS[0] as Uint8Array]);
  let place = SEGMENT_HEADER_LENGTH;
  for (const entry of ENTRIES.slice(0, 12)) {
    const frame = frameOf(entry, place);
    await file.write(place, [frame]);
    place += frame.length;
  }
}

export async function writeHardState(file: DiskFile): Promise<void> {
  const disk = new SimDisk();
  await disk.createDirectory("node");
  const state = { term: 7, vote: "beta", logId: 0, clusterId: "cluster", nodeId: "alpha" };
  const path = "node/hard-state";
  await HardStateFile.create(disk, path, state);
  await file.write(0, [disk.bytes(path).subarray(0, SLOT_LENGTH)]);
}

export async function writeNewest(file: DiskFile): Promise<void> {
  const disk = new SimDisk();
  await disk.createDirectory("log");
  const layout = new LogLayout("log");
  const newest = await NewestSegment.open(disk, layout, 0);
  await newest.set(12);
  await file.write(0, [disk.bytes(layout.newest).subarray(0, NEWEST_SLOT_LENGTH)]);
}

export async function writeIndex(file: DiskFile): Promise<void> {
  const index = new SegmentIndex(100);
  let place = SEGMENT_HEADER_LENGTH;
  for (let slot = 0; slot < 90; slot += 1) {
    const firstRow = index.rows.count;
    index.rows.add(place, 50, 1, BigInt(place), slot);
    index.stage({
      place,
      length: 64,
      term: 1 + (slot >> 5),
      hash: 1n,
      logTime: slot,
      firstRow,
      rowCount: 1,
      intact: true,
    });
    index.commit();
    index.place(100 + slot, [{ accepted: true, streamId: slot % 5, incarnation: 2, firstOffset: slot, span: 1 }]);
    place += 64;
  }
  const end = { index: 189, term: 3, hash: 5n, logTime: 90 };
  await writeIndexBlock(file, { logId: 0, sequence: SEQUENCE, end, fileBytes: 8_192, index });
}

export async function imageRows(): Promise<Uint8Array[]> {
  const kv = new SimKv();
  const image = new Image(kv);
  image.load({ logEnd: 0 });
  const stateRows = ROWS.map(([key, value]) => ({ key, value }));
  const tailRows = [
    { key: utf8("tail"), value: prng.bytes(9) },
    { key: new Uint8Array(1_200).fill(3), value: prng.bytes(9) },
  ];
  await image.save({ stateRows, tailRows, position: 10, digest: DIGEST });
  return [rowFile([...kv.range(new Uint8Array(0), Uint8Array.of(255))])];
}

/** What random commands leave behind. */
export function rowFiles(): Uint8Array[] {
  return [1, 2, 3, 4, 5, 6].map((seed) => {
    const machine = new StreamsMachine(STREAMS_LIMITS);
    for (const { index, logTime, commands } of randomEntries(seed, 12, STREAMS_LIMITS))
      machine.apply({ index, logTime }, commands);
    return rowFile([...machine.rows()]);
  });
}

/** Rows one behind the other, as snapshots have them. */
function rowFile(rows: readonly Row[]): Uint8Array {
  const writer = new ByteWriter();
  for (const [key, value] of rows) writer.blob(key).blob(value);
  return writer.finish();
}

export function rowsOf(bytes: Uint8Array): Row[] | undefined {
  const reader = new ByteReader(bytes);
  const rows: Row[] = [];
  while (reader.remaining > 0) rows.push([reader.blob(reader.remaining), reader.blob(reader.remaining)]);
  return reader.complete ? rows : undefined;
}
