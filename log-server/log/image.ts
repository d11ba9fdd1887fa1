/**
 * The image: the state machine's rows and the index of the log's tail, in the `Kv`, with the position that they are
 * of in the same transaction (P25). It spares a node re-applying its log at a restart, and can always be rebuilt:
 * what does not verify is discarded, never mended.
 *
 * Keys are one byte for the family, then the row's own key. A row's key may be longer than a store takes: of such a
 * one the first bytes and its xxh64 are the store's key, and the whole is kept with the value. Values are the row's
 * hash (u64, little-endian), then for a long key its length (u32) and bytes, then the row's value.
 */
import { assert } from "../../src/lib/assert.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { DiskError } from "../../src/ports/disk.ts";
import type { Kv, KvWrite } from "../../src/ports/kv.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { asDigest, type Row, type RowChange, rowHash } from "../../src/record/row.ts";
import { KV_LIMITS } from "./disk/storage-limits.ts";

const VERSION = 1;
const META_KEY = Uint8Array.of(0);
const FAMILY = { state: 1, tail: 2 } as const;
const FAMILY_LENGTH = 1;
const HASH_LENGTH = 8;
const KEY_LENGTH_BYTES = 4;
/** Of a row's key, what goes into the store's key as it is. */
const KEY_HEAD_MAX = KV_LIMITS.keyBytesMax - FAMILY_LENGTH - HASH_LENGTH;

type Family = keyof typeof FAMILY;

/** What the rows are of: the last applied position, the machine's digest there, and that of the tail's rows. */
type ImageMeta = { readonly position: number; readonly digest: bigint; readonly tailDigest: bigint };

export type LoadedImage = {
  readonly position: number;
  readonly digest: bigint;
  readonly stateRows: readonly Row[];
  readonly tailRows: readonly Row[];
};

/** Why an image is of no use; all but the first call for `discard`. */
export type ImageFault =
  | { readonly kind: "missing" }
  | { readonly kind: "damaged"; readonly message: string }
  | { readonly kind: "digest-mismatch"; readonly message: string }
  | { readonly kind: "unsupported-version"; readonly message: string }
  /** It knows entries that the log no longer has. */
  | { readonly kind: "beyond-log"; readonly message: string };

export type ImageSave = {
  /** Changes since the last save, oldest first; a key may come again. */
  readonly stateRows: Iterable<RowChange>;
  readonly tailRows: Iterable<RowChange>;
  readonly position: number;
  /** `StreamsMachine.digest()` at `position`. */
  readonly digest: bigint;
};

export class Image {
  readonly #kv: Kv;
  /** What the store holds, once it is known. */
  #meta: ImageMeta | undefined;
  /** `closed`: neither loaded nor discarded yet, or found to be of no use. */
  #state: "closed" | "ready" | "busy" = "closed";

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** The position of what is saved; undefined without an image. */
  get position(): number | undefined {
    return this.#meta?.position;
  }

  /** The position of what the store holds, not verified further; undefined where that cannot be read. */
  savedPosition(): number | undefined {
    try {
      const value = this.#kv.get(META_KEY);
      const meta = value && decodeMeta(value);
      return meta?.ok === true ? meta.value.position : undefined;
    } catch {
      return undefined;
    }
  }

  /** The machine's digest at `position`. */
  get digest(): bigint | undefined {
    return this.#meta?.digest;
  }

  /** Reads and verifies everything. `logEnd`: the last intact entry of the log. */
  load(options: { readonly logEnd: number }): Result<LoadedImage, ImageFault> {
    const loaded = this.#read(options.logEnd);
    this.#meta = loaded.ok ? loaded.value.meta : undefined;
    if (loaded.ok || loaded.error.kind === "missing") this.#state = "ready";
    if (!loaded.ok) return loaded;
    const { meta, stateRows, tailRows } = loaded.value;
    return ok({ position: meta.position, digest: meta.digest, stateRows, tailRows });
  }

  /** One transaction: rows, position and digest move together or not at all. */
  async save(save: ImageSave): Promise<void> {
    assert(this.#state === "ready", "an image is loaded or discarded before it is saved, and saved once at a time");
    this.#state = "busy";
    try {
      const writes: KvWrite[] = [];
      for (const change of save.stateRows) writes.push(this.#writeOf("state", change).write);
      let tailDigest = this.#meta?.tailDigest ?? 0n;
      // The last change of a key counts, against what is stored now.
      const tailChanges = new Map<string, RowChange>();
      for (const change of save.tailRows) tailChanges.set(Buffer.from(change.key).toString("latin1"), change);
      for (const change of tailChanges.values()) {
        const { write, hash } = this.#writeOf("tail", change);
        const before = this.#kv.get(write.key);
        tailDigest += hash - (before === undefined ? 0n : storedHash(before));
        writes.push(write);
      }
      const meta: ImageMeta = { position: save.position, digest: save.digest, tailDigest: asDigest(tailDigest) };
      writes.push({ kind: "put", key: META_KEY, value: encodeMeta(meta) });
      await this.#kv.write(writes);
      this.#meta = meta;
    } finally {
      this.#state = "ready";
    }
  }

  /** Forgets it, durably. The next save must bring every row. */
  async discard(): Promise<void> {
    assert(this.#state !== "busy", "no save is running");
    this.#state = "closed";
    await this.#kv.clear();
    this.#meta = undefined;
    this.#state = "ready";
  }

  /**
   * The machine's rows at `position`, verified one by one as they are walked; a damaged one ends the walk with an
   * error. They stand still for as long as nothing is saved.
   */
  *stateRows(): Iterable<Row> {
    assert(this.#meta !== undefined, "an image to read");
    for (const [key, value] of this.#kv.range(...familyRange("state"))) {
      const decoded = decodeRow(key, value);
      if (!decoded.ok) throw new DiskError("io", "image", decoded.error);
      yield decoded.value.row;
    }
  }

  #writeOf(family: Family, change: RowChange): { write: KvWrite; hash: bigint } {
    const { key, value } = change;
    const storeKey = storeKeyOf(family, key);
    if (value === undefined) return { write: { kind: "delete", key: storeKey }, hash: 0n };
    const hash = rowHash(key, value);
    const isLong = key.length > KEY_HEAD_MAX;
    const stored = new Uint8Array(HASH_LENGTH + (isLong ? KEY_LENGTH_BYTES + key.length : 0) + value.length);
    const view = new DataView(stored.buffer);
    view.setBigUint64(0, hash, true);
    if (isLong) {
      view.setUint32(HASH_LENGTH, key.length, true);
      stored.set(key, HASH_LENGTH + KEY_LENGTH_BYTES);
    }
    stored.set(value, stored.length - value.length);
    return { write: { kind: "put", key: storeKey, value: stored }, hash };
  }

  #read(logEnd: number): Result<{ meta: ImageMeta; stateRows: Row[]; tailRows: Row[] }, ImageFault> {
    try {
      const stored = this.#kv.get(META_KEY);
      const state = this.#readFamily("state");
      const tail = this.#readFamily("tail");
      if (!state.ok) return err({ kind: "damaged", message: state.error });
      if (!tail.ok) return err({ kind: "damaged", message: tail.error });
      if (stored === undefined) {
        if (state.value.rows.length + tail.value.rows.length === 0) return err({ kind: "missing" });
        return err({ kind: "damaged", message: "there are rows, but not what they are of" });
      }
      const meta = decodeMeta(stored);
      if (!meta.ok) return meta;
      const { position, digest, tailDigest } = meta.value;
      if (tail.value.digest !== tailDigest)
        return err({ kind: "damaged", message: "rows of the tail's index are missing or old" });
      if (state.value.digest !== digest)
        return err({ kind: "digest-mismatch", message: "the rows are not the state that was saved" });
      if (position > logEnd) {
        return err({
          kind: "beyond-log",
          message: `the image is of position ${position}, but the log ends at ${logEnd}`,
        });
      }
      return ok({ meta: meta.value, stateRows: state.value.rows, tailRows: tail.value.rows });
    } catch (error) {
      if (error instanceof DiskError && error.code === "closed") throw error;
      return err({ kind: "damaged", message: `the store cannot be read: ${String(error)}` });
    }
  }

  #readFamily(family: Family): Result<{ rows: Row[]; digest: bigint }, string> {
    const rows: Row[] = [];
    let digest = 0n;
    for (const [key, value] of this.#kv.range(...familyRange(family))) {
      const decoded = decodeRow(key, value);
      if (!decoded.ok) return decoded;
      rows.push(decoded.value.row);
      digest += decoded.value.hash;
    }
    return ok({ rows, digest: asDigest(digest) });
  }
}

/**
 * Snapshots are written from the image: one that is older than a snapshot was put back, by a disk that lost what was written since,
 * or by hand. Whatever is beside it is as old: the sparse index would know segments that are long gone. Says so where it is.
 */
export function staleBehind(image: Image, snapshotPosition: number): string | undefined {
  const position = image.savedPosition();
  if (position === undefined || position >= snapshotPosition) return undefined;
  return `it is of position ${position}, and a snapshot is newer`;
}

function familyRange(family: Family): [Uint8Array, Uint8Array] {
  return [Uint8Array.of(FAMILY[family]), Uint8Array.of(FAMILY[family] + 1)];
}

function storeKeyOf(family: Family, key: Uint8Array): Uint8Array {
  const isLong = key.length > KEY_HEAD_MAX;
  const head = Math.min(key.length, KEY_HEAD_MAX);
  const storeKey = new Uint8Array(FAMILY_LENGTH + head + (isLong ? HASH_LENGTH : 0));
  storeKey[0] = FAMILY[family];
  storeKey.set(key.subarray(0, head), FAMILY_LENGTH);
  if (isLong) new DataView(storeKey.buffer).setBigUint64(FAMILY_LENGTH + head, xxh64(key), true);
  return storeKey;
}

function decodeRow(storeKey: Uint8Array, stored: Uint8Array): Result<{ row: Row; hash: bigint }, string> {
  const isLong = storeKey.length > FAMILY_LENGTH + KEY_HEAD_MAX;
  const reader = new ByteReader(stored);
  const hash = reader.u64();
  const key = isLong ? reader.bytes(reader.u32()) : storeKey.subarray(FAMILY_LENGTH);
  const value = reader.bytes(reader.remaining);
  // A long key's row must also be where its key says.
  if (reader.failed || (isLong && xxh64(key) !== storedTail(storeKey)) || rowHash(key, value) !== hash) {
    return err("a row does not match its hash");
  }
  return ok({ row: [key, value], hash });
}

function storedHash(stored: Uint8Array): bigint {
  return new ByteReader(stored).u64();
}

function storedTail(storeKey: Uint8Array): bigint {
  return new ByteReader(storeKey, storeKey.length - HASH_LENGTH).u64();
}

function encodeMeta(meta: ImageMeta): Uint8Array {
  const writer = new ByteWriter();
  writer.u64(0n).u16(VERSION).int(meta.position).u64(meta.digest).u64(meta.tailDigest);
  writer.patchU64(0, xxh64(writer.view().subarray(HASH_LENGTH)));
  return writer.finish();
}

function decodeMeta(stored: Uint8Array): Result<ImageMeta, ImageFault> {
  const reader = new ByteReader(stored);
  if (reader.u64() !== xxh64(stored.subarray(HASH_LENGTH)))
    return err({ kind: "damaged", message: "the image's head does not match its hash" });
  const version = reader.u16();
  if (version !== VERSION)
    return err({
      kind: "unsupported-version",
      message: `the image has version ${version}; this server reads ${VERSION}`,
    });
  const meta = { position: reader.int(), digest: reader.u64(), tailDigest: reader.u64() };
  if (!reader.complete) return err({ kind: "damaged", message: "the image's head is malformed" });
  return ok(meta);
}
