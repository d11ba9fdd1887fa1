/**
 * Makes damage good, as far as others have what was lost: looks now and then for what is known to be damaged, and asks the
 * other members for it, one after the other. And answers when they ask.
 */
import type { LogIndex } from "../../../src/wire/entry.ts";
import type { Damage } from "../../log/repair/damage.ts";
import type { MendReport, MendSource } from "../../log/repair/mender.ts";
import type { OfferedEntries } from "../../log/repair/mending.ts";
import type { PlacedEntry, PlacementSource } from "../../log/repair/reindexer.ts";
import type { KeptBatch, WantedBatch } from "../../log/repair/rewritten-mending.ts";
import type { Mended, NodeId } from "../../raft/types.ts";
import type { NodeParts } from "../node-parts.ts";
import type { CallKind } from "../calls/peer-call-codec.ts";
import type { PeerCalls } from "../calls/peer-calls.ts";
import { pendingConfigurations } from "../consensus/pending-configurations.ts";
import { Rounds } from "../rounds.ts";
import {
  decodeBatchesRequest,
  decodeEntriesRequest,
  decodeKept,
  decodeOffered,
  decodePlacements,
  encodeBatchesRequest,
  encodeEntriesRequest,
  encodeKept,
  encodeOffered,
  encodePlacements,
} from "./repair-codec.ts";

export interface RepairOwner {
  /** Those who have the log, this node not among them. */
  others(): readonly NodeId[];
  /** Damage was made good: these are the configurations that wait to be applied, as far as they can be read now. */
  mended(pending: Pick<Mended, "configurations" | "hidden">): void;
  /** Everything up to here is applied. */
  readonly position: LogIndex;
  /** The disk failed. */
  failed(error: unknown): void;
}

/** What was made good since the start. */
export type RepairStatus = {
  readonly segments: number;
  readonly entries: number;
  readonly batches: number;
  /** Given by others, used or not. */
  readonly fetchedBytes: number;
  readonly underWay: boolean;
  /** Segments that are damaged now, and since when the one is that is damaged longest; undefined: none is. */
  readonly damagedSegments: number;
  readonly oldestMs: number | undefined;
};

type RepairParts = Pick<NodeParts, "log" | "clock" | "limits" | "observer">;

export class Repairer {
  readonly #parts: RepairParts;
  readonly #calls: PeerCalls;
  readonly #owner: RepairOwner;
  readonly #rounds: Rounds;
  /** Of each segment that could not be mended wholly, when to try again: at once, where something of it was given. */
  readonly #nextTry = new Map<number, number>();
  /** When each damaged segment was first seen to be. */
  readonly #damagedAt = new Map<number, number>();
  /** Segments of which something is missing that all others were asked for, and have answered. */
  readonly #givenUp = new Set<number>();
  /** Somebody has not answered, since this was last false. */
  #unheard = false;
  #segments = 0;
  #entries = 0;
  #batches = 0;
  #fetchedBytes = 0;

  constructor(parts: RepairParts, calls: PeerCalls, owner: RepairOwner) {
    this.#parts = parts;
    this.#calls = calls;
    this.#owner = owner;
    this.#rounds = new Rounds(parts.clock, {
      everyMs: parts.limits.repairEveryMs,
      work: () => this.#mend(),
      failed: (error) => this.#failed(error),
    });
    calls.handle("repair-entries", (_from, body) => this.#give(body));
    calls.handle("repair-placements", (_from, body) => this.#givePlacements(body));
    calls.handle("repair-batches", (_from, body) => this.#giveBatches(body));
  }

  get status(): RepairStatus {
    const first = this.#damagedAt.values().next().value;
    return {
      segments: this.#segments,
      entries: this.#entries,
      batches: this.#batches,
      fetchedBytes: this.#fetchedBytes,
      underWay: this.#rounds.underWay,
      damagedSegments: this.#damagedAt.size,
      oldestMs: first === undefined ? undefined : this.#parts.clock.monotonic() - first,
    };
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when what was begun has ended. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** Whether others may have what this hides: they are asked for it soon, or not all of them have answered. */
  hopesFor({ segment }: Damage): boolean {
    return segment !== undefined && !this.#givenUp.has(segment);
  }

  async #mend(): Promise<void> {
    const { clock, limits, log } = this.#parts;
    const now = clock.monotonic();
    const damaged = this.#lookForDamage();
    for (const sequence of this.#nextTry.keys()) if (!damaged.has(sequence)) this.#nextTry.delete(sequence);
    for (const sequence of this.#givenUp) if (!damaged.has(sequence)) this.#givenUp.delete(sequence);
    for (const sequence of damaged) {
      if (this.#rounds.stopped) return;
      if ((this.#nextTry.get(sequence) ?? 0) > now) continue;
      this.#unheard = false;
      const report = await log.mend(sequence, this.#sources());
      this.#count(sequence, report);
      const isWhole = report.left === 0 && report.refused === undefined;
      // Perhaps as much as goes at a time: the rest is asked for before it is believed that nobody has it.
      const isGiven = report.entries + report.batches > 0;
      const indexed = await this.#reindex(sequence);
      // What is in the way here, such as a lack of room, says nothing of the others.
      const isMissed = indexed === "failed" || (report.left > 0 && report.refused === undefined);
      if (isMissed && !isGiven && !this.#unheard) this.#givenUp.add(sequence);
      else this.#givenUp.delete(sequence);
      if (indexed === "failed" || !isWhole) this.#nextTry.set(sequence, isGiven ? now : now + limits.repairRetryMs);
      // Whole without anything done, it was misread: whoever was refused then is not now.
      if (!isWhole && !isGiven && indexed !== "done") continue;
      this.#owner.mended(await pendingConfigurations(log, this.#owner.position, limits.replayBytesMax));
    }
    if (damaged.size > 0) this.#lookForDamage();
  }

  /** Segments that are damaged now. */
  #lookForDamage(): ReadonlySet<number> {
    const { damage } = this.#parts.log;
    const now = this.#parts.clock.monotonic();
    const damaged = new Set(damage.flatMap(({ segment }) => (segment === undefined ? [] : [segment])));
    for (const sequence of this.#damagedAt.keys()) if (!damaged.has(sequence)) this.#damagedAt.delete(sequence);
    for (const sequence of damaged) if (!this.#damagedAt.has(sequence)) this.#damagedAt.set(sequence, now);
    return damaged;
  }

  /** Undefined: it does not answer. */
  async #fetch(node: NodeId, kind: CallKind, request: Uint8Array): Promise<Uint8Array | undefined> {
    const answer = await this.#calls.call(node, kind, [request], this.#parts.limits.repairTimeoutMs);
    if (!answer.ok) {
      this.#unheard = true;
      return undefined;
    }
    this.#fetchedBytes += answer.value.length;
    return answer.value;
  }

  /** Where its entries and batches are, if that is lost. */
  async #reindex(sequence: number): Promise<"whole" | "done" | "failed"> {
    const { log, observer } = this.#parts;
    if (!log.damage.some(({ segment, kind }) => segment === sequence && kind === "index")) return "whole";
    const done = await log.reindex(sequence, this.#sources());
    if (!done.ok) return "failed";
    observer.event("segment-indexed", { segment: sequence });
    return "done";
  }

  #count(segment: number, report: MendReport): void {
    if (report.entries + report.batches === 0) return;
    this.#segments += 1;
    this.#entries += report.entries;
    this.#batches += report.batches;
    this.#parts.observer.event("segment-mended", { segment, ...report });
  }

  #sources(): readonly (MendSource & PlacementSource)[] {
    return this.#owner.others().map((node) => this.source(node));
  }

  /** What one other node has. */
  source(node: NodeId): MendSource & PlacementSource {
    return {
      entries: (from, to) => this.#ask(node, { from, to }),
      batches: (wanted) => this.#askBatches(node, wanted),
      placements: (from, to) => this.#askPlacements(node, { from, to }),
    };
  }

  async #askPlacements(
    node: NodeId,
    range: { from: LogIndex; to: LogIndex },
  ): Promise<readonly PlacedEntry[] | undefined> {
    const answer = await this.#fetch(node, "repair-placements", encodeEntriesRequest(range));
    return answer && decodePlacements(answer, range.from);
  }

  async #givePlacements(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const request = decodeEntriesRequest(body);
    const placed = request && (await this.#parts.log.placements(request.from, request.to));
    return [encodePlacements(placed ?? [])];
  }

  async #askBatches(
    node: NodeId,
    wanted: readonly WantedBatch[],
  ): Promise<readonly (KeptBatch | undefined)[] | undefined> {
    const answer = await this.#fetch(node, "repair-batches", encodeBatchesRequest(wanted));
    return answer && decodeKept(answer);
  }

  /** Those that do not fit any more are asked for again. */
  async #giveBatches(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const { log, limits } = this.#parts;
    const kept: (KeptBatch | undefined)[] = [];
    let bytes = 0;
    for (const wanted of decodeBatchesRequest(body) ?? []) {
      const batch = bytes < limits.repairBytesMax ? await log.kept(wanted) : undefined;
      bytes += batch?.bytes.length ?? 0;
      kept.push(batch);
    }
    return encodeKept(kept);
  }

  async #ask(node: NodeId, range: { from: LogIndex; to: LogIndex }): Promise<OfferedEntries | undefined> {
    const answer = await this.#fetch(node, "repair-entries", encodeEntriesRequest(range));
    return answer && decodeOffered(answer);
  }

  async #give(body: Uint8Array): Promise<readonly Uint8Array[]> {
    const request = decodeEntriesRequest(body);
    const { log, limits } = this.#parts;
    const offered = request && (await log.offered(request.from, request.to, limits.repairBytesMax));
    return encodeOffered(offered ?? { previousHash: 0n, entries: [] });
  }

  #failed(error: unknown): void {
    if (this.#parts.log.poisoned !== undefined) this.#owner.failed(error);
    else this.#parts.observer.event("repair-failed", { error: String(error) });
  }
}
