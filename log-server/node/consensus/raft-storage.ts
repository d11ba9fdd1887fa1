/**
 * Does what Raft asks of the disk, and answers: makes hard state and entries durable, reads entries for followers that
 * lag. An append for which the disk has no room is tried again until there is some; any other failure is final (P30).
 */
import type { Clock, Timer } from "../../../src/ports/clock.ts";
import { DiskError } from "../../../src/ports/disk.ts";
import type { Entry } from "../../../src/wire/entry.ts";
import type { HardStateFile } from "../../log/hard-state.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import { entryBytes } from "../../raft/raft-log.ts";
import type { AppendDone, AppendWork, Fetched, FetchWork } from "../../raft/types.ts";
import type { NodeLimits } from "../limits.ts";

export type RaftStorageParts = {
  readonly log: Pick<SegmentedLog, "append" | "term" | "entries" | "firstIndex" | "poisoned">;
  readonly hardState: Pick<HardStateFile, "write">;
  readonly clock: Clock;
  readonly limits: Pick<NodeLimits, "stalledRetryMs">;
};

export interface StorageOwner {
  answered(message: AppendDone | Fetched): void;
  /** Entries were made durable. */
  synced(entries: readonly Entry[], milliseconds: number): void;
  /** There is no room on the disk; it is tried again. */
  stalled(): void;
  failed(error: unknown): void;
}

export class RaftStorage {
  readonly #parts: RaftStorageParts;
  readonly #owner: StorageOwner;
  #stalled: Timer | undefined;
  #stopped = false;

  constructor(parts: RaftStorageParts, owner: StorageOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  /** An append waits for room on the disk. */
  get stalled(): boolean {
    return this.#stalled !== undefined;
  }

  stop(): void {
    this.#stopped = true;
    this.#stalled?.cancel();
  }

  async append(work: AppendWork): Promise<void> {
    const { clock, hardState, log } = this.#parts;
    const startedAt = clock.monotonic();
    try {
      if (work.hardState !== undefined) await hardState.write(work.hardState);
    } catch (error) {
      this.#owner.failed(error);
      return;
    }
    // Stopped meanwhile: the log proves its end and is closed.
    if (this.#stopped) return;
    try {
      if (work.entries.length > 0) await log.append(work.entries);
    } catch (error) {
      const full = error instanceof DiskError && error.code === "no-space" && log.poisoned === undefined;
      if (full) this.#stall(work);
      else this.#owner.failed(error);
      return;
    }
    if (work.entries.length > 0) this.#owner.synced(work.entries, clock.monotonic() - startedAt);
    this.#owner.answered(work.done);
  }

  async fetch({ id, node, from, to, bytesMax }: FetchWork): Promise<void> {
    const { log } = this.#parts;
    let outcome: Fetched["outcome"] = { kind: "unavailable" };
    try {
      if (from < log.firstIndex) outcome = { kind: "trimmed" };
      else {
        const read = await log.entries(from, to, bytesMax);
        // What damage hides has to come from somebody else; an entry is sent whole or not at all (I13).
        const entries = read.ok ? wholeOnes(read.value, bytesMax) : [];
        if (entries.length > 0) outcome = { kind: "entries", entries };
        else if (from < log.firstIndex) outcome = { kind: "trimmed" };
      }
    } catch {
      // The disk could not be read; it is asked for again.
    }
    this.#owner.answered({ kind: "fetched", id, node, outcome });
  }

  /**
   * The log is as it was, or has the first of these entries. They have their places already, so they are tried again until
   * there is room.
   */
  #stall(work: AppendWork): void {
    if (this.#stopped) return;
    const { clock, limits } = this.#parts;
    this.#stalled = clock.schedule(limits.stalledRetryMs, () => {
      this.#stalled = undefined;
      if (!this.#stopped) void this.append({ ...work, hardState: undefined });
    });
    this.#owner.stalled();
  }
}

/** As many as fit, one at least, up to the first that lacks the bytes of a batch. */
function wholeOnes(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let bytes = 0;
  const end = entries.findIndex((entry, place) => {
    bytes += entryBytes(entry);
    return (place > 0 && bytes > bytesMax) || entry.batches.some((batch) => batch.bytes === undefined);
  });
  return end < 0 ? entries : entries.slice(0, end);
}
