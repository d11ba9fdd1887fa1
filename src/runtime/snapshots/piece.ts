/**
 * A piece of a snapshot as records of its stream: a slice or a delta (`piece-rows.ts`), or a manifest. One that is longer than a
 * record may be goes over several, one behind the other.
 *
 *   record   version (u8) · kind (u8) · part, parts (varints) · bytes of the piece
 *   piece    length of its content (u32) · xxh64 of it · the content, in zstd
 *
 * Whoever reads knows from a manifest which records make a piece. What is read may be anything: the answer is a value.
 */
import { assert } from "../../lib/assert.ts";
import { ByteReader } from "../../lib/byte-reader.ts";
import { ByteWriter } from "../../lib/byte-writer.ts";
import { concat } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { Zstd } from "../../ports/zstd.ts";
import { xxh64 } from "../../record/checksum.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";

const VERSION = 1;
const PIECE_HEAD_BYTES = 12;
const KINDS = { slice: 1, delta: 2, manifest: 3 } as const;

export type PieceKind = keyof typeof KINDS;

export type PieceRecord = {
  readonly kind: PieceKind;
  /** From 0. */
  readonly part: number;
  readonly parts: number;
  readonly bytes: Uint8Array;
};

/** `compressed` is the content in zstd. */
export function encodePiece(kind: PieceKind, content: Uint8Array, compressed: Uint8Array): Uint8Array[] {
  const { pieceRawBytesMax, recordBytesMax } = SNAPSHOT_LIMITS;
  assert(content.length <= pieceRawBytesMax, "I15: a piece is bounded");
  const piece = new ByteWriter(PIECE_HEAD_BYTES + compressed.length)
    .u32(content.length)
    .u64(xxh64(content))
    .bytes(compressed)
    .view();
  const parts = Math.ceil(piece.length / recordBytesMax);
  return Array.from({ length: parts }, (_, part) =>
    new ByteWriter()
      .u8(VERSION)
      .u8(KINDS[kind])
      .varint(part)
      .varint(parts)
      .bytes(piece.subarray(part * recordBytesMax, (part + 1) * recordBytesMax))
      .finish(),
  );
}

export function readPieceRecord(record: Uint8Array): Result<PieceRecord, string> {
  const reader = new ByteReader(record);
  const version = reader.u8();
  const code = reader.u8();
  const part = reader.varint();
  const parts = reader.varint();
  if (reader.failed) return err("it is cut short");
  if (version !== VERSION) return err(`it is of version ${version}, which is not known here`);
  const kind = kindOf(code);
  if (kind === undefined || part >= parts) return err("it is no piece of a snapshot");
  return ok({ kind, part, parts, bytes: reader.bytes(reader.remaining) });
}

/** The content of a piece, of all its parts in order. */
export function joinPiece(parts: readonly Uint8Array[], zstd: Zstd): Result<Uint8Array, string> {
  const [first = new Uint8Array(0)] = parts;
  const reader = new ByteReader(parts.length === 1 ? first : concat(parts));
  const length = reader.u32();
  const hash = reader.u64();
  if (reader.failed) return err("it is cut short");
  if (length > SNAPSHOT_LIMITS.pieceRawBytesMax) return err(`it claims ${length} bytes`);
  const content = zstd.decompress(reader.bytes(reader.remaining), length);
  if (content === undefined) return err("it does not decompress to what it claims");
  if (xxh64(content) !== hash) return err("it does not match its checksum");
  // Of no platform's own kind, whose views cost more: a restore makes one for each key and each value.
  return ok(new Uint8Array(content.buffer, content.byteOffset, content.length));
}

function kindOf(code: number): PieceKind | undefined {
  return (Object.keys(KINDS) as PieceKind[]).find((kind) => KINDS[kind] === code);
}
