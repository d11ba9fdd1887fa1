/**
 * The format of a snapshot file: a header block, blocks of rows, a footer block, and nothing behind it. Every block's
 * hash is seeded with the snapshot's position and the block's number, so a block from elsewhere does not fit.
 *
 *     block   u64 xxh64 of what follows · u32 length of the body · u8 kind · 3 × u8 0 · body
 *     header  u32 mark "TMSS" · u16 version, 1 · u32 log · u64 position · u64 term · u64 hash · u64 log time ·
 *             u64 digest · blob configuration
 *     rows    blob key · blob value, one behind the other
 *     footer  u64 blocks of rows · u64 rows · u64 bytes before the footer
 */
import { assert } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import { asDigest, type Row, rowHash } from "../../../src/record/row.ts";
import { SNAPSHOT_LIMITS } from "../disk/storage-limits.ts";

const MARK = 0x53534d54;
const VERSION = 1;
const HASH_LENGTH = 8;
const BLOCK_HEAD_LENGTH = 16;
const KIND = { header: 1, rows: 2, footer: 3 } as const;
const U64 = 64;
/** Block numbers below it: a snapshot of four tebibytes. */
const POSITION_SHIFT = 24n;

/** What a snapshot is of: the entry at its position, the configuration there, and the digest of its rows. */
export type SnapshotMeta = {
  readonly term: number;
  /** The entry's hash, from which the log's chain goes on. */
  readonly hash: bigint;
  readonly configuration: Uint8Array;
  readonly logTime: number;
  readonly digest: bigint;
};

/** What a whole file said; the rows stay in the blocks they were read in. */
export type SnapshotContent = { readonly position: number; readonly meta: SnapshotMeta; readonly rows: Iterable<Row> };

/** Writes everything; the caller syncs. */
export async function writeSnapshotFile(
  file: DiskFile,
  logId: number,
  position: number,
  meta: SnapshotMeta,
  rows: Iterable<Row>,
): Promise<void> {
  let place = 0;
  let blocks = 0;
  let rowCount = 0;
  const block = new ByteWriter(SNAPSHOT_LIMITS.blockBytes);
  const begin = (): void => {
    block.reset();
    block.bytes(new Uint8Array(BLOCK_HEAD_LENGTH));
  };
  const end = async (kind: number): Promise<void> => {
    const length = block.length - BLOCK_HEAD_LENGTH;
    assert(length <= SNAPSHOT_LIMITS.blockBytesMax, "a block of a size that can be read again");
    block.patchU32(HASH_LENGTH, length);
    block.patchU32(HASH_LENGTH + 4, kind);
    block.patchU64(0, xxh64(block.view().subarray(HASH_LENGTH), seedOf(position, blocks)));
    // Copied: the buffer is reused while the bytes may still be on their way.
    const bytes = block.finish();
    await file.write(place, [bytes]);
    place += bytes.length;
    blocks += 1;
    begin();
  };

  begin();
  block
    .u32(MARK)
    .u16(VERSION)
    .u32(logId)
    .int(position)
    .int(meta.term)
    .u64(meta.hash)
    .int(meta.logTime)
    .u64(meta.digest);
  block.blob(meta.configuration);
  await end(KIND.header);
  for (const [key, value] of rows) {
    if (block.length > BLOCK_HEAD_LENGTH && block.length + key.length + value.length > SNAPSHOT_LIMITS.blockBytes)
      await end(KIND.rows);
    block.blob(key).blob(value);
    rowCount += 1;
  }
  if (block.length > BLOCK_HEAD_LENGTH) await end(KIND.rows);
  block
    .int(blocks - 1)
    .int(rowCount)
    .int(place);
  await end(KIND.footer);
}

export type SnapshotExpectation = { readonly logId: number; readonly position: number };

/**
 * Reads and verifies everything. The reason is for people. With `keepRows` false nothing but one block is held. `pace` is
 * awaited after each block.
 */
export async function readSnapshotFile(
  file: DiskFile,
  expected: SnapshotExpectation,
  options: { readonly keepRows: boolean; readonly pace?: (bytes: number) => Promise<void> },
): Promise<Result<SnapshotContent, string>> {
  const size = await file.size();
  const { position } = expected;
  let place = 0;
  let blocks = 0;
  let rowCount = 0;
  let digest = 0n;
  let meta: SnapshotMeta | undefined;
  const kept: Uint8Array[] = [];
  for (;;) {
    const block = await readBlock(file, place, size, seedOf(position, blocks));
    if (!block.ok) return err(`block ${blocks}, at byte ${place}: ${block.error}`);
    const { kind, body } = block.value;
    const reader = new ByteReader(body);
    if (meta === undefined) {
      if (kind !== KIND.header) return err("it does not begin with a header");
      const header = decodeHeader(reader, expected);
      if (!header.ok) return header;
      meta = header.value;
    } else if (kind === KIND.rows) {
      for (const [key, value] of rowsOf(reader)) {
        digest += rowHash(key, value);
        rowCount += 1;
      }
      if (!reader.complete) return err(`block ${blocks} holds a malformed row`);
      if (options.keepRows) kept.push(body);
    } else {
      const counted = [reader.int(), reader.int(), reader.int()];
      if (kind !== KIND.footer || !reader.complete) return err(`block ${blocks} is of no known kind`);
      const found = [blocks - 1, rowCount, place];
      if (counted.some((count, index) => count !== found[index])) return err("the footer counts something else");
      if (place + BLOCK_HEAD_LENGTH + body.length !== size) return err("something is behind the footer");
      if (asDigest(digest) !== meta.digest) return err("the rows do not have the state's digest");
      return ok({ position, meta, rows: { [Symbol.iterator]: () => rowsOfBlocks(kept) } });
    }
    place += BLOCK_HEAD_LENGTH + body.length;
    blocks += 1;
    await options.pace?.(BLOCK_HEAD_LENGTH + body.length);
  }
}

function decodeHeader(reader: ByteReader, expected: SnapshotExpectation): Result<SnapshotMeta, string> {
  if (reader.u32() !== MARK) return err("it is not a snapshot");
  const version = reader.u16();
  if (version !== VERSION) return err(`it has version ${version}; this server reads ${VERSION}`);
  const logId = reader.u32();
  const position = reader.int();
  const meta = {
    term: reader.int(),
    hash: reader.u64(),
    logTime: reader.int(),
    digest: reader.u64(),
    configuration: reader.blob(reader.remaining).slice(),
  };
  if (!reader.complete) return err("its header is malformed");
  if (logId !== expected.logId || position !== expected.position)
    return err(`it is of log ${logId} at position ${position}`);
  return ok(meta);
}

async function readBlock(
  file: DiskFile,
  place: number,
  size: number,
  seed: bigint,
): Promise<Result<{ kind: number; body: Uint8Array }, string>> {
  const head = new Uint8Array(BLOCK_HEAD_LENGTH);
  if ((await file.read(place, head)) < BLOCK_HEAD_LENGTH) return err("the file ends");
  const reader = new ByteReader(head);
  const hash = reader.u64();
  const length = reader.u32();
  const kind = reader.u32();
  if (length > SNAPSHOT_LIMITS.blockBytesMax || place + BLOCK_HEAD_LENGTH + length > size) return err("the file ends");
  const block = new Uint8Array(BLOCK_HEAD_LENGTH + length);
  if ((await file.read(place, block)) < block.length) return err("the file ends");
  if (xxh64(block.subarray(HASH_LENGTH), seed) !== hash) return err("it does not match its hash");
  return ok({ kind, body: block.subarray(BLOCK_HEAD_LENGTH) });
}

function* rowsOf(reader: ByteReader): Generator<Row> {
  while (reader.remaining > 0) {
    const key = reader.blob(reader.remaining);
    const value = reader.blob(reader.remaining);
    if (!reader.failed) yield [key, value];
  }
}

function* rowsOfBlocks(blocks: readonly Uint8Array[]): Generator<Row> {
  for (const body of blocks) yield* rowsOf(new ByteReader(body));
}

function seedOf(position: number, block: number): bigint {
  return BigInt.asUintN(U64, (BigInt(position) << POSITION_SHIFT) + BigInt(block));
}
