/**
 * The snapshots of one log, in a folder of their own: `<position>.snapshot`. A snapshot is written to a temporary
 * name, synced, read back and verified, renamed, its folder synced; only then may the log be trimmed to it. The
 * newest two are kept. They are told apart by position alone, never by term or age (P21).
 *
 * A damaged snapshot is set aside as `<position>.damaged`. Whether an older one may stand in for it depends on how
 * far back the log reaches: one that would leave a gap never does (P22).
 */
import { assert } from "../../../src/lib/assert.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { type Disk, DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import type { Row } from "../../../src/record/row.ts";
import { type SnapshotSuffix, snapshotPath } from "../log-layout.ts";
import { readSnapshotFile, type SnapshotContent, type SnapshotMeta, writeSnapshotFile } from "./snapshot-file.ts";
import { SNAPSHOT_LIMITS } from "../disk/storage-limits.ts";

const NAME = /^(\d{16})\.(snapshot|damaged|new)$/;

export type DamagedSnapshot = { readonly position: number; readonly path: string; readonly reason: string };

export type NewestSnapshot = {
  /** Absent: there is none, and the log begins at its first entry. */
  readonly snapshot: SnapshotContent | undefined;
  /** Newer ones that were not usable, now set aside. */
  readonly damaged: readonly DamagedSnapshot[];
};

/** No intact snapshot reaches the first entry of the log: what is between them is not on this disk. */
export type SnapshotGap = {
  readonly kind: "gap";
  readonly firstAvailableIndex: number;
  /** The newest intact one, if any. */
  readonly position: number | undefined;
  /** Left where they are, so that the next start says the same. */
  readonly damaged: readonly DamagedSnapshot[];
  readonly message: string;
};

export class SnapshotStore {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #logId: number;
  /** How many hold the snapshots of these positions: they stay for so long. */
  readonly #held = new Map<number, number>();
  /** Writes follow one another (P23). */
  #last: Promise<unknown> = Promise.resolve();

  /** `directory` is made when needed; the folder it is in exists. */
  constructor(options: { readonly disk: Disk; readonly directory: string; readonly logId: number }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#logId = options.logId;
  }

  /**
   * Durable and verified when it resolves. A failure leaves the older ones as they are. The rows are walked while
   * they are written and must stand still until then: the digest of what was written is compared with `meta.digest`.
   */
  write(position: number, meta: SnapshotMeta, rows: Iterable<Row>): Promise<void> {
    assert(Number.isSafeInteger(position) && position > 0, "a snapshot is of an entry's position");
    const done = this.#last.then(() => this.#write(position, meta, rows));
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Keeps a snapshot, however many are written; returns how to let go of it, once. */
  hold(position: number): () => void {
    this.#held.set(position, (this.#held.get(position) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(position) ?? 0) - 1;
      if (left > 0) this.#held.set(position, left);
      else this.#held.delete(position);
    };
  }

  /** The positions of all snapshots on the disk, newest first; not verified. */
  positions(): Promise<number[]> {
    return this.#positions("snapshot");
  }

  /**
   * The newest intact snapshot. `firstAvailableIndex`: the log's first entry (1 for a log that was never trimmed),
   * which the snapshot must reach.
   */
  async newest(options: { readonly firstAvailableIndex: number }): Promise<Result<NewestSnapshot, SnapshotGap>> {
    const { firstAvailableIndex } = options;
    await this.#removeUnfinished();
    const damaged: DamagedSnapshot[] = [];
    let snapshot: SnapshotContent | undefined;
    for (const position of await this.#positions("snapshot")) {
      const read = await this.#read(position, { keepRows: true });
      if (read.ok) {
        snapshot = read.value;
        break;
      }
      damaged.push({ position, path: this.#pathOf(position, "snapshot"), reason: read.error });
    }
    const reached = snapshot?.position ?? 0;
    if (reached + 1 < firstAvailableIndex) return err(gap(firstAvailableIndex, snapshot?.position, damaged));
    return ok({ snapshot, damaged: await this.#setAside(damaged) });
  }

  /**
   * Reads and verifies all that are there; which are damaged. One that is older than an intact one is of no use any more, and
   * is set aside; others stay where they are until there is another.
   */
  async damaged(pace: (bytes: number) => Promise<void>): Promise<readonly DamagedSnapshot[]> {
    const damaged: DamagedSnapshot[] = [];
    const old: DamagedSnapshot[] = [];
    let intact = false;
    for (const position of await this.#positions("snapshot")) {
      const path = this.#pathOf(position, "snapshot");
      const read = await this.#read(position, { keepRows: false, pace }).catch((error: unknown) => {
        // A newer one has taken its place meanwhile.
        if (error instanceof DiskError && error.code === "not-found") return undefined;
        throw error;
      });
      if (read?.ok === true) intact = true;
      else if (read !== undefined) {
        const isOld = intact && !this.#held.has(position);
        (isOld ? old : damaged).push({ position, path, reason: read.error });
      }
    }
    const aside = this.#last.then(() => this.#setAside(old));
    this.#last = aside.catch(() => undefined);
    await aside;
    return damaged;
  }

  async #write(position: number, meta: SnapshotMeta, rows: Iterable<Row>): Promise<void> {
    await this.#disk.createDirectory(this.#directory);
    await this.#disk.syncDirectory(parentOf(this.#directory));
    const temporary = this.#pathOf(position, "new");
    await this.#disk.remove(temporary).catch(ignoreMissing);
    const file = await this.#disk.open(temporary, "create");
    try {
      await writeSnapshotFile(file, this.#logId, position, meta, rows);
      await file.sync();
      const back = await readSnapshotFile(file, { logId: this.#logId, position }, { keepRows: false });
      if (!back.ok) throw new DiskError("io", temporary, `the new snapshot reads back wrong: ${back.error}`);
    } catch (error) {
      await file.close();
      // It is in nobody's way: what matters is the first error.
      await this.#disk.remove(temporary).catch(() => undefined);
      throw error;
    }
    await file.close();
    await this.#disk.rename(temporary, this.#pathOf(position, "snapshot"));
    await this.#disk.syncDirectory(this.#directory);
    await this.#removeBeyond("snapshot", SNAPSHOT_LIMITS.kept);
  }

  async #read(
    position: number,
    options: Parameters<typeof readSnapshotFile>[2],
  ): Promise<Result<SnapshotContent, string>> {
    let file: DiskFile | undefined;
    try {
      file = await this.#disk.open(this.#pathOf(position, "snapshot"), "read");
      return await readSnapshotFile(file, { logId: this.#logId, position }, options);
    } catch (error) {
      if (error instanceof DiskError && error.code === "io") return err(error.message);
      throw error;
    } finally {
      await file?.close();
    }
  }

  async #setAside(damaged: readonly DamagedSnapshot[]): Promise<DamagedSnapshot[]> {
    if (damaged.length === 0) return [];
    const moved: DamagedSnapshot[] = [];
    for (const { position, path, reason } of damaged) {
      const aside = this.#pathOf(position, "damaged");
      // Where it is not there any more, newer ones have taken its place meanwhile.
      await this.#disk.rename(path, aside).catch(ignoreMissing);
      moved.push({ position, path: aside, reason });
    }
    await this.#disk.syncDirectory(this.#directory);
    await this.#removeBeyond("damaged", SNAPSHOT_LIMITS.keptDamaged);
    return moved;
  }

  async #removeBeyond(suffix: SnapshotSuffix, kept: number): Promise<void> {
    const surplus = (await this.#positions(suffix)).slice(kept).filter((position) => !this.#held.has(position));
    for (const position of surplus) await this.#disk.remove(this.#pathOf(position, suffix));
    if (surplus.length > 0) await this.#disk.syncDirectory(this.#directory);
  }

  async #removeUnfinished(): Promise<void> {
    for (const position of await this.#positions("new")) await this.#disk.remove(this.#pathOf(position, "new"));
  }

  async #positions(suffix: SnapshotSuffix): Promise<number[]> {
    let names: string[];
    try {
      names = await this.#disk.list(this.#directory);
    } catch (error) {
      if (error instanceof DiskError && error.code === "not-found") return [];
      throw error;
    }
    const positions = names.flatMap((name) => {
      const match = NAME.exec(name);
      return match?.[2] === suffix ? [Number(match[1])] : [];
    });
    return positions.sort((a, b) => b - a);
  }

  #pathOf(position: number, suffix: SnapshotSuffix): string {
    return snapshotPath(this.#directory, position, suffix);
  }
}

function gap(
  firstAvailableIndex: number,
  position: number | undefined,
  damaged: readonly DamagedSnapshot[],
): SnapshotGap {
  const has = position === undefined ? "no snapshot is intact" : `the newest intact snapshot ends at ${position}`;
  const message = `the log begins at ${firstAvailableIndex}, but ${has}`;
  const reasons = damaged.map(({ path, reason }) => `${path} is damaged (${reason})`);
  return { kind: "gap", firstAvailableIndex, position, damaged, message: [message, ...reasons].join("; ") };
}

function parentOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof DiskError && error.code === "not-found")) throw error;
}
