/**
 * What another node ships to take the place of this log (`shipment.ts`), as it comes: in `incoming/`, in folders laid out
 * like the log's own.
 *
 *     incoming/shipment                the list of files of the shipment that is received
 *     incoming/segments/, snapshots/   its files, durable under their names once whole; one that is being received ends in `.new`
 *     incoming/install                 the list once more, under the name that decides: see `install.ts`
 *
 * Each file is verified where it came to lie. What is whole is kept for the next shipment of the same disk, over restarts;
 * of a file that was being received a restart keeps nothing, for what of it was synced is not known. What is damaged on the
 * sender's disk is mended with what the log has that it is to replace: no intact copy goes for a damaged one (I13).
 */
import { assert } from "../../../src/lib/assert.ts";
import { type Disk, DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import { createAnew } from "../disk/create-anew.ts";
import { EMPTY_LOG } from "../entries/closing.ts";
import { DamageList } from "../repair/damage.ts";
import { type Exclusively, Mender, type MendSource } from "../repair/mender.ts";
import type { RepairParts } from "../repair/repair-parts.ts";
import { FilePool } from "../segments/file-pool.ts";
import { pathOf } from "./holds.ts";
import { readPage } from "../index/index-pages.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import { Scrubber } from "../repair/scrubber.ts";
import { IndexReader, type SealedSegment } from "../segments/sealed-segment.ts";
import { SegmentFiles } from "../segments/segment-files.ts";
import { SegmentList } from "../segments/segment-list.ts";
import { decodeShipment, encodeShipment, fileName, type Shipment, type ShipmentFile } from "./shipment.ts";
import { readSnapshotFile } from "./snapshot-file.ts";
import { SHIPMENT_LIMITS } from "../disk/storage-limits.ts";
import { isMissing } from "../repair/unreadable.ts";
import { Poison } from "../poison.ts";

export type IncomingParts = {
  readonly disk: Disk;
  /** Of the log. */
  readonly layout: LogLayout;
  readonly logId: number;
  readonly limits: LogLimits;
  /** What the log has that this is to replace. */
  readonly own: MendSource;
};

/** Takes one file. Calls never overlap. */
export interface FileSink {
  /** What is here already. */
  readonly offset: number;
  write(bytes: Uint8Array): Promise<void>;
  /** Durable and verified, or what is wrong with it: then nothing of it is kept. */
  finish(): Promise<string | undefined>;
  /** What is here is kept for another try in this life. */
  abandon(): Promise<void>;
}

/** Nobody else uses what is received. */
const AT_ONCE: Exclusively = (work) => work();

export class Incoming {
  readonly #parts: IncomingParts;
  readonly #layout: LogLayout;
  #shipment: Shipment | undefined;
  /** Files of it, by name. */
  readonly #verified = new Set<string>();
  /** Of files that are being received: durable or not, they are here. */
  readonly #partial = new Map<string, number>();
  /** Data that did not verify once: if it comes so again, it is so on the disk that it comes from. */
  readonly #damagedOnce = new Set<string>();
  readonly #damaged = new Set<string>();

  private constructor(parts: IncomingParts, shipment: Shipment | undefined) {
    this.#parts = parts;
    this.#layout = parts.layout.incoming;
    this.#shipment = shipment;
  }

  /** As the last life left it. */
  static async open(parts: IncomingParts): Promise<Incoming> {
    const bytes = await readSmall(parts.disk, `${parts.layout.incoming.root}/shipment`);
    return new Incoming(parts, bytes && decodeShipment(bytes));
  }

  /** What is received, or was when this life began. */
  get shipment(): Shipment | undefined {
    return this.#shipment;
  }

  /** It is here, durable and verified. */
  get complete(): boolean {
    return this.#shipment?.files.every((file) => this.#verified.has(fileName(file))) ?? false;
  }

  get receivedBytes(): number {
    let bytes = 0;
    for (const file of this.#shipment?.files ?? [])
      bytes += this.#verified.has(fileName(file)) ? file.bytes : (this.#partial.get(fileName(file)) ?? 0);
    return bytes;
  }

  /** Files whose data is damaged where it comes from and here: what of it is, is refused to readers, and mended later. */
  get damagedFiles(): number {
    return this.#damaged.size;
  }

  /** A shipment takes the place of the one before. What both have in common stays. No sink is open. */
  async begin(shipment: Shipment): Promise<void> {
    const { disk } = this.#parts;
    const { root, segments, snapshots } = this.#layout;
    const before = this.#shipment;
    const kept = new Map<string, string>();
    for (const file of shipment.files) {
      const same = before?.files.some((other) => fileName(other) === fileName(file) && other.bytes === file.bytes);
      if (before?.diskId === shipment.diskId && same === true) kept.set(pathOf(this.#layout, file), fileName(file));
    }
    await disk.createDirectory(segments);
    await disk.createDirectory(snapshots);
    await disk.syncDirectory(this.#parts.layout.root);
    await disk.syncDirectory(root);
    this.#shipment = undefined;
    await remove(disk, `${root}/shipment`);
    await disk.syncDirectory(root);
    const names = new Set(kept.values());
    for (const directory of [segments, snapshots]) {
      for (const name of await disk.list(directory)) {
        const path = `${directory}/${name}`;
        const isPart = [...this.#partial.keys()].some((part) => names.has(part) && this.#partOf(part) === path);
        if (!kept.has(path) && !isPart) await disk.remove(path);
      }
      await disk.syncDirectory(directory);
    }
    for (const set of [this.#verified, this.#partial, this.#damagedOnce, this.#damaged])
      for (const name of set.keys()) if (!names.has(name)) set.delete(name);
    await this.#writeList("shipment", shipment);
    this.#shipment = shipment;
  }

  /** Where a file of the shipment goes. One sink at a time is open for a file. */
  async sink(file: ShipmentFile): Promise<FileSink> {
    const { disk } = this.#parts;
    const name = fileName(file);
    assert(this.#shipment?.files.includes(file) === true, "a file of the shipment");
    if ((await sizeOf(disk, pathOf(this.#layout, file))) === file.bytes) return this.#wholeSink(file);
    const path = this.#partOf(name);
    let offset = this.#partial.get(name);
    let open: DiskFile;
    if (offset === undefined) {
      open = await createAnew(disk, path);
      offset = 0;
      this.#partial.set(name, 0);
    } else {
      open = await disk.open(path, "read-write");
    }
    return this.#partSink(file, open, offset);
  }

  /** From here on the log is what was shipped, whatever happens: the next start sees to it. */
  async decide(): Promise<void> {
    const { disk } = this.#parts;
    const { root } = this.#layout;
    assert(this.complete, "I13: what takes the place of the log is whole and verified");
    await disk.rename(`${root}/shipment`, `${root}/install`);
    await disk.syncDirectory(root);
  }

  /** It is of no use any more. */
  async discard(): Promise<void> {
    const { disk } = this.#parts;
    const { root, segments, snapshots } = this.#layout;
    this.#shipment = undefined;
    for (const set of [this.#verified, this.#partial, this.#damagedOnce, this.#damaged]) set.clear();
    if ((await listOf(disk, root)).length === 0) return;
    await remove(disk, `${root}/shipment`);
    await disk.syncDirectory(root);
    for (const directory of [segments, snapshots])
      for (const name of await listOf(disk, directory)) await disk.remove(`${directory}/${name}`);
  }

  #wholeSink(file: ShipmentFile): FileSink {
    return {
      offset: file.bytes,
      write: () => Promise.reject(new Error("all of it is here")),
      finish: () => (this.#verified.has(fileName(file)) ? Promise.resolve(undefined) : this.#verifyOrRemove(file)),
      abandon: () => Promise.resolve(),
    };
  }

  #partSink(file: ShipmentFile, open: DiskFile, from: number): FileSink {
    const { disk } = this.#parts;
    const name = fileName(file);
    let offset = from;
    let unsynced = 0;
    return {
      offset: from,
      write: async (bytes) => {
        await open.write(offset, [bytes]);
        offset += bytes.length;
        unsynced += bytes.length;
        if (this.#partial.has(name)) this.#partial.set(name, offset);
        if (unsynced < SHIPMENT_LIMITS.syncEveryBytes) return;
        unsynced = 0;
        await open.sync();
      },
      finish: async () => {
        await open.sync();
        await open.close();
        const path = pathOf(this.#layout, file);
        await disk.rename(this.#partOf(name), path);
        await disk.syncDirectory(path.slice(0, path.lastIndexOf("/")));
        this.#partial.delete(name);
        return this.#verifyOrRemove(file);
      },
      abandon: () => open.close(),
    };
  }

  async #verifyOrRemove(file: ShipmentFile): Promise<string | undefined> {
    const name = fileName(file);
    const wrong = await this.#verify(file);
    if (wrong === undefined) this.#verified.add(name);
    else await this.#parts.disk.remove(pathOf(this.#layout, file));
    return wrong;
  }

  /** What is wrong with it, or undefined. */
  async #verify(file: ShipmentFile): Promise<string | undefined> {
    const { disk, limits, logId } = this.#parts;
    const layout = this.#layout;
    const pool = new FilePool(disk, limits);
    try {
      if (file.kind === "snapshot") {
        const expected = { logId, position: file.number };
        const read = await pool.use(pathOf(layout, file), (open) =>
          readSnapshotFile(open, expected, { keepRows: false }),
        );
        if (!read.ok) return read.error;
        return read.value.meta.term === this.#shipment?.term ? undefined : "the snapshot is of another term";
      }
      const indexReader = new IndexReader(pool, layout, limits);
      const segment = await indexReader.open(file.number);
      if (segment === undefined || segment.facts.logId !== logId) return "the index cannot be read";
      if (file.kind === "index") {
        const { pageCount, fileBytes } = segment.tables;
        if (fileBytes !== file.bytes) return "the index has another length";
        for (let page = 0; page < pageCount; page += 1) {
          const bytes = await pool.use(pathOf(layout, file), (open) => readPage(open, file.number, page, pageCount));
          if (bytes === undefined) return `page ${page} of the index is damaged`;
        }
        return undefined;
      }
      if (segment.dataKind !== file.kind) return "the index is of another kind of segment";
      return await this.#verifyData(file, { pool, indexReader, segment });
    } finally {
      await pool.close();
    }
  }

  async #verifyData(
    file: ShipmentFile,
    { pool, indexReader, segment }: Pick<RepairParts, "pool" | "indexReader"> & { readonly segment: SealedSegment },
  ): Promise<string | undefined> {
    const { disk, limits, logId } = this.#parts;
    const layout = this.#layout;
    const before = await this.#before(segment, indexReader);
    const damage = new DamageList(limits);
    const parts: RepairParts = {
      disk,
      layout,
      limits,
      logId,
      pool,
      indexReader,
      damage,
      segments: new SegmentList(before === undefined ? [segment] : [before, segment]),
      files: new SegmentFiles(layout, limits, pool),
      poison: new Poison(),
    };
    await new Scrubber(parts).check(file.number, () => Promise.resolve(), AT_ONCE);
    const [found] = damage.all;
    if (found === undefined) return undefined;
    const name = fileName(file);
    if (!this.#damagedOnce.has(name)) {
      this.#damagedOnce.add(name);
      return found.message;
    }
    // Come twice, it is the sender's own. What is damaged in both places is taken as it is: readers are refused it, and it is mended.
    const mender = new Mender(parts);
    for (let goesOn = true; goesOn;) {
      const { entries, batches, left } = await mender.mend(file.number, [this.#parts.own], EMPTY_LOG, AT_ONCE);
      goesOn = left > 0 && entries + batches > 0;
    }
    if (damage.all.length > 0) this.#damaged.add(name);
    return undefined;
  }

  /** What the identity of a segment's first entry follows on. */
  async #before(segment: SealedSegment, indexReader: IndexReader): Promise<SealedSegment | undefined> {
    const indexes = this.#shipment?.files.filter(({ kind }) => kind === "index") ?? [];
    const before = indexes[indexes.findIndex(({ number }) => number === segment.sequence) - 1];
    return before && indexReader.open(before.number);
  }

  async #writeList(name: "shipment", shipment: Shipment): Promise<void> {
    const { disk } = this.#parts;
    const { root } = this.#layout;
    const file = await createAnew(disk, `${root}/${name}.new`);
    try {
      await file.write(0, [encodeShipment(shipment)]);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(`${root}/${name}.new`, `${root}/${name}`);
    await disk.syncDirectory(root);
  }

  /** Where a file is while it is being received. */
  #partOf(name: string): string {
    return `${this.#layout.root}/segments/${name.replace(" ", "-")}.new`;
  }
}

/** The content of a small file; undefined if there is none. */
export async function readSmall(disk: Disk, path: string): Promise<Uint8Array | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, "read");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  try {
    const bytes = new Uint8Array(Math.min(await file.size(), SHIPMENT_LIMITS.listBytesMax));
    return bytes.subarray(0, await file.read(0, bytes));
  } finally {
    await file.close();
  }
}

/** Nothing where there is no such folder. */
export async function listOf(disk: Disk, directory: string): Promise<readonly string[]> {
  try {
    return await disk.list(directory);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function sizeOf(disk: Disk, path: string): Promise<number | undefined> {
  try {
    const file = await disk.open(path, "read");
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function remove(disk: Disk, path: string): Promise<void> {
  try {
    await disk.remove(path);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "not-found")) throw error;
  }
}
