/**
 * What a node ships to one that is behind its horizon: the newest snapshot, and the sealed segments with their index
 * blocks, as they are on its disk. A segment's files never change under their names (mending restores what they were), so
 * who has one of a node's files has it, whichever shipment of that node it came with.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { LogIndex, Term } from "../../../src/wire/entry.ts";
import { SHIPMENT_LIMITS } from "../disk/storage-limits.ts";

const KINDS = ["snapshot", "index", "log", "compacted"] as const;

export type ShipmentFile = {
  readonly kind: (typeof KINDS)[number];
  /** A snapshot's position, a segment's sequence. */
  readonly number: number;
  readonly bytes: number;
};

export type Shipment = {
  readonly logId: number;
  /** The disk that it is from: its sequences mean nothing on another. */
  readonly diskId: string;
  /** Of the snapshot. */
  readonly position: LogIndex;
  readonly term: Term;
  /** Where the segments end: at the snapshot's position or behind it. */
  readonly end: { readonly index: LogIndex; readonly term: Term };
  /** A segment's index block comes before its data. */
  readonly files: readonly ShipmentFile[];
};

const VERSION = 1;
const HASH_LENGTH = 8;

/** Hash of the rest · u16 version, 1 · what it is of · its files. */
export function encodeShipment(shipment: Shipment): Uint8Array {
  const { logId, diskId, position, term, end, files } = shipment;
  const writer = new ByteWriter();
  writer.u64(0n).u16(VERSION).u32(logId).string(diskId);
  writer.varint(position).varint(term).varint(end.index).varint(end.term).varint(files.length);
  for (const { kind, number, bytes } of files) writer.u8(KINDS.indexOf(kind)).varint(number).varint(bytes);
  writer.patchU64(0, xxh64(writer.view().subarray(HASH_LENGTH)));
  return writer.finish();
}

/** Undefined: it is damaged, or of a version that is not known. */
export function decodeShipment(bytes: Uint8Array): Shipment | undefined {
  if (bytes.length < HASH_LENGTH) return undefined;
  const reader = new ByteReader(bytes);
  if (reader.u64() !== xxh64(bytes.subarray(HASH_LENGTH)) || reader.u16() !== VERSION) return undefined;
  const logId = reader.u32();
  const diskId = reader.string(SHIPMENT_LIMITS.diskIdBytesMax);
  const [position, term] = [reader.varint(), reader.varint()];
  const end = { index: reader.varint(), term: reader.varint() };
  const count = reader.count(SHIPMENT_LIMITS.filesMax);
  const files: ShipmentFile[] = [];
  for (let at = 0; at < count && !reader.failed; at += 1) {
    const kind = KINDS[reader.u8()];
    if (kind === undefined) return undefined;
    files.push({ kind, number: reader.varint(), bytes: reader.varint() });
  }
  if (!reader.complete || !isWellFormed({ position, end, files })) return undefined;
  return { logId, diskId, position, term, end, files };
}

/** One snapshot, at its position; no file twice; nothing empty; a log that reaches the snapshot. */
function isWellFormed({ position, end, files }: Pick<Shipment, "position" | "end" | "files">): boolean {
  const snapshots = files.filter(({ kind }) => kind === "snapshot");
  const names = new Set(files.map(fileName));
  return (
    snapshots.length === 1 &&
    snapshots[0]?.number === position &&
    position > 0 &&
    end.index >= position &&
    names.size === files.length &&
    files.every(({ bytes }) => bytes > 0)
  );
}

/** Within one shipment. */
export function fileName({ kind, number }: ShipmentFile): string {
  return `${kind} ${number}`;
}

export function shipmentBytes({ files }: Shipment): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
