/**
 * One log on one node: the loop that drives Raft, the segmented log and the state machine.
 *
 *     propose → queue → (end of turn) one entry → raft → append + sync → commit → apply → answer, wake readers
 *
 * It owns the order of these steps and nothing else: what an entry means is the state machine's business, how it
 * is stored the log's, when it counts Raft's. Everything it needs from outside comes through ports, so the
 * simulator can drive it. Faces (HTTP and others) see this class only.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Result } from "../../src/lib/result.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import { DiskError } from "../../src/ports/disk.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import type { Offset } from "../../src/record/offset.ts";
import { checkCommand } from "../../src/wire/check-command.ts";
import { decodeCommands, encodeCommands } from "../../src/wire/command-codec.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { Entry, LogIndex } from "../../src/wire/entry.ts";
import type { Damage } from "../log/damage.ts";
import type { SegmentedLog } from "../log/segmented-log.ts";
import { RawNode } from "../raft/raw-node.ts";
import type { AppendWork, ApplyWork } from "../raft/types.ts";
import type { StreamsMachine } from "../streams/machine.ts";
import type { StreamView } from "../streams/views.ts";
import { AheadRoom } from "./ahead-room.ts";
import { commandBytes, growsTheLog, oversizedBatch } from "./admission.ts";
import { Checkpointer } from "./checkpointer.ts";
import { Compactor } from "./compactor.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Deadlines } from "./deadlines.ts";
import { DiskSpace } from "./disk-space.ts";
import { type Follower, Followers } from "./followers.ts";
import { FrontierMover } from "./frontier-mover.ts";
import { GroupLag, type LagPart } from "./group-lag.ts";
import type { NodeLimits } from "./limits.ts";
import { Merge, type MergeStart } from "./merge.ts";
import { NodeError } from "./node-error.ts";
import type { NodeParts } from "./node-parts.ts";
import type { NodePhase, NodeStatus } from "./node-status.ts";
import { type Group, type Pending, Proposals } from "./proposals.ts";
import { raftOptions } from "./raft-options.ts";
import { Reader, type ReadError, type ReadOptions, type ReadResult } from "./reader.ts";
import { Retention } from "./retention.ts";
import { offsetAtPlace } from "./offset-at-place.ts";
import { type DamagedError, offsetAtTime } from "./offset-at-time.ts";
import { Touches } from "./touches.ts";
import { Waiters } from "./waiters.ts";

export class LogNode {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly logId: number;
  /** For reading, synchronously; only this class applies to it. */
  readonly machine: StreamsMachine;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly limits: NodeLimits;

  readonly #parts: NodeParts;
  readonly #log: SegmentedLog;
  readonly #raft: RawNode;
  readonly #reader: Reader;
  readonly #proposals: Proposals;
  readonly #waiters: Waiters<number>;
  readonly #takers: Waiters<string>;
  readonly #groupLag: GroupLag;
  readonly #deadLetters: DeadLetters;
  readonly #followers: Followers;
  readonly #mergesRoom: AheadRoom;
  readonly #checkpointer: Checkpointer;
  readonly #retention: Retention;
  readonly #compactor: Compactor;
  readonly #touches: Touches;
  readonly #space: DiskSpace;
  readonly #deadlines: Deadlines;
  readonly #listeners = new Set<() => void>();
  readonly #barriers = new Map<number, { readonly resolve: () => void; readonly reject: (error: NodeError) => void }>();
  #nextContext = 1;
  #phase: NodePhase = "recovering";
  /** Of the newest entry proposed here: log time never goes back, not even between two entries not yet applied. */
  #logTime = 0;
  #turnDue = false;
  #driving = false;
  readonly #replayTarget: LogIndex;
  /** Set when an entry that must be applied cannot be read: nothing after it can be known here. */
  #blocked: Damage | undefined;
  /** An append that found no room on the disk, and is tried again. */
  #stalled: Timer | undefined;
  #housekeeping: Timer | undefined;
  #settled: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #failure: NodeError | undefined;
  #damageReported = 0;
  readonly #failed: ((error: NodeError) => void)[] = [];

  constructor(parts: NodeParts) {
    this.#parts = parts;
    this.clusterId = parts.clusterId;
    this.nodeName = parts.nodeName;
    this.logId = parts.logId;
    this.machine = parts.machine;
    this.clock = parts.clock;
    this.entropy = parts.entropy;
    this.limits = parts.limits;
    this.#log = parts.log;
    this.#replayTarget = parts.log.lastIndex;
    this.#reader = new Reader(parts.log, parts.machine, parts.zstd, parts.limits.batchBytesMax * 4);
    this.#proposals = new Proposals(parts.limits);
    this.#waiters = new Waiters(parts.limits.waitersMax);
    this.#takers = new Waiters(parts.limits.groupWaitersMax);
    this.#groupLag = new GroupLag(this.#reader, parts);
    this.#deadLetters = new DeadLetters(parts, this.#reader, (command) => this.propose(command));
    this.#mergesRoom = new AheadRoom(parts.limits.mergesAheadBytesMax);
    this.#followers = new Followers(parts.limits.followedStreamsMax);
    this.#checkpointer = new Checkpointer(parts);
    this.#retention = new Retention(parts, (command) => this.#background(command));
    const frontiers = new FrontierMover(parts, (command) => this.#background(command));
    this.#compactor = new Compactor({ ...parts, frontiers, snapshots: this.#checkpointer });
    this.#space = new DiskSpace(parts);
    this.#deadlines = new Deadlines(parts, () => this.propose({ kind: "tick" }));
    this.#touches = new Touches(parts, (command) => this.#background(command));
    this.#raft = new RawNode(raftOptions(parts));
  }

  /**
   * Stands for election, re-applies what the state machine lacks, and resolves once the node serves. With damage
   * in the way it resolves too: the node then serves what it can, and refuses the rest as `damaged`.
   */
  start(): Promise<void> {
    assert(this.#phase === "recovering" && this.#settled === undefined, "a node is started once");
    return new Promise((resolve, reject) => {
      this.#settled = { resolve, reject };
      this.#raft.campaign();
      this.#drive();
    });
  }

  /** Called once if the node can no longer go on, at once if that is so already: a failed sync is final (PITFALLS P30). */
  onFailure(listener: (error: NodeError) => void): void {
    if (this.#failure === undefined) this.#failed.push(listener);
    else listener(this.#failure);
  }

  /**
   * Puts a command into the log and resolves with what applying it answered; a refusal is a result, too. Throws
   * `NodeError`: `overloaded`, `unavailable`, `disk-full`, `batch-too-large`, `malformed-command`, `damaged` (nothing
   * was done), or `outcome-unknown`.
   */
  propose(command: Command): Promise<CommandResult> {
    const refusal = this.#refusal(command);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const bytes = commandBytes(command);
      this.#proposals.add({ command, bytes, proposedAt: this.clock.monotonic(), resolve, reject });
      this.#scheduleTurn();
    });
  }

  /**
   * A linearizable point: once it resolves, everything committed before the call is applied, and everything that
   * was due by this node's clock has expired (I14: by an entry, never by the clock alone). Throws `NodeError`:
   * `unavailable`, `overloaded`, or `damaged` where there is no such point, see `tailKnown`.
   */
  async barrier(): Promise<void> {
    await this.#confirm();
    if (!this.#deadlines.passed) return;
    await this.#touches.flush();
    await this.#deadlines.tick();
  }

  /** Records of a stream from an offset on. See `ReadResult`. */
  read(stream: StreamView, from: Offset, options: ReadOptions): Promise<Result<ReadResult, ReadError>> {
    return this.#reader.read(stream, from, options);
  }

  /** A client has read this stream: its sliding expiry starts anew, by a command that collects many of these. */
  touch(name: string): void {
    if (this.#phase === "serving") this.#touches.add(name);
  }

  /** Resolves at the stream's next change (tail, closure, end), or when the signal aborts. */
  changed(streamId: number, signal: AbortSignal): Promise<void> {
    return this.#waiters.wait(streamId, signal);
  }

  /** Resolves when a take of the group may find more than before, or the group is gone, or the signal aborts. */
  groupChanged(id: string, signal: AbortSignal): Promise<void> {
    return this.#takers.wait(id, signal);
  }

  /** How long ago, in log time, the first record was appended that a group has not processed: one for each part. */
  groupLag(parts: readonly LagPart[]): Promise<readonly (number | undefined)[]> {
    return this.#groupLag.of(parts);
  }

  /** Hears of changes of many streams at once, until it is closed. Throws `overloaded` where too many are followed. */
  follow(streamIds: readonly number[]): Follower {
    return this.#followers.follow(streamIds);
  }

  /** Many streams as one, each from its offset on; no stream begins before the place `from`. */
  merge(streams: readonly MergeStart[], from: LogPlace): Merge {
    const { mergeAheadBytesMax, mergeReadBytesMax, mergeReadsMax } = this.limits;
    const limits = {
      aheadBytesMax: mergeAheadBytesMax,
      readBytesMax: mergeReadBytesMax,
      readsMax: mergeReadsMax,
    };
    return new Merge(this, streams, from, limits, this.#mergesRoom);
  }

  /** The first offset of the stream whose batch the log does not have before `place`; else the stream's tail. */
  offsetAtPlace(stream: StreamView, place: LogPlace): Promise<Result<Offset, ReadError>> {
    return offsetAtPlace(this, stream, place);
  }

  /** The first retained offset of the stream that was appended at `atMs` of log time or later; else the stream's tail. */
  offsetAtTime(stream: StreamView, atMs: number): Promise<Result<Offset, DamagedError>> {
    return offsetAtTime(this.#log, this.machine, stream, atMs);
  }

  /** Called after entries were applied. Returns how to stop listening. */
  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * False where damage keeps this node from applying the whole log: what it shows of a stream was once true, but
   * nobody may be told that a stream ends there, or is not there.
   */
  get tailKnown(): boolean {
    return this.#blocked === undefined;
  }

  /** The position everything up to which is applied here. */
  get position(): LogIndex {
    return this.machine.position;
  }

  get phase(): NodePhase {
    return this.#phase;
  }

  status(): NodeStatus {
    return {
      phase: this.#phase,
      progress: {
        phase: this.#phase === "recovering" ? "replay" : this.#phase,
        done: this.machine.position,
        total: this.#replayTarget,
      },
      hasLeader: this.#raft.role === "leader",
      term: this.#raft.term,
      commitIndex: this.#raft.committed,
      appliedIndex: this.machine.position,
      lastIndex: this.#raft.lastIndex,
      damage: this.#log.damage,
      freeBytes: this.#space.freeBytes,
      diskFull: this.#space.full,
      waitingProposals: this.#proposals.waiting,
      waitingReaders: this.#waiters.count,
      streams: this.machine.streamCount,
      groups: () => ({ count: this.machine.groupCount, ...this.machine.groupTotals() }),
      snapshotPosition: this.#checkpointer.snapshotPosition,
      compaction: this.#compactor.status,
    };
  }

  /** Refuses new commands, finishes those under way, saves the image, and proves the log's end. */
  async stop(): Promise<void> {
    if (this.#phase === "stopped" || this.#phase === "stopping") return;
    const failed = this.#phase === "failed";
    if (!failed) this.#phase = "stopping";
    this.#touches.stop();
    this.#housekeeping?.cancel();
    this.#deadlines.stop();
    const moved = this.#deadLetters.stop();
    while (this.#underWay) await new Promise<void>((resolve) => this.clock.defer(resolve));
    this.#stalled?.cancel();
    const unwritten = new NodeError("outcome-unknown", "the node stopped before there was room on its disk");
    this.#proposals.fail(unwritten, unwritten);
    this.#waiters.wakeAll();
    this.#takers.wakeAll();
    await moved;
    await this.#retention.idle();
    await this.#compactor.stop();
    await this.#checkpointer.stop(!failed && this.#failure === undefined);
    await this.#log.close();
    await this.#parts.hardState.close();
    if (!failed) this.#phase = "stopped";
  }

  /** Something was proposed and will be answered; not while the disk has no room for it. */
  get #underWay(): boolean {
    if (this.#failure !== undefined || this.#stalled !== undefined) return false;
    return this.#proposals.waiting > 0 || this.#proposals.inFlight > 0;
  }

  #refusal(command: Command): NodeError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#phase !== "serving") return new NodeError("unavailable", `the node is ${this.#phase}`);
    if (this.#blocked !== undefined) return this.#blockedError();
    const checked = checkCommand(command);
    if (!checked.ok) return new NodeError(checked.error.code, checked.error.message);
    const oversized = oversizedBatch(command, this.limits.batchBytesMax);
    if (oversized !== undefined) {
      return new NodeError(
        "batch-too-large",
        `a batch has ${oversized} bytes; at most ${this.limits.batchBytesMax} are allowed`,
      );
    }
    if (this.#space.full && growsTheLog(command)) return this.#fullError();
    return undefined;
  }

  #fullError(): NodeError {
    return new NodeError("disk-full", `only ${this.#space.freeBytes} bytes were free on the disk when last looked at`);
  }

  #blockedError(): NodeError {
    return new NodeError("damaged", `the log cannot be applied past damage: ${this.#blocked?.message}`);
  }

  #scheduleTurn(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    this.clock.defer(() => {
      this.#turnDue = false;
      this.#drive();
    });
  }

  /** Moves waiting commands into entries, as few as possible, unless a group is being written: then they wait and join the next. */
  #encodeWaiting(): void {
    if (this.#raft.appending || this.#raft.role !== "leader") return;
    let groupBytes = 0;
    while (this.#proposals.waiting > 0 && groupBytes < this.limits.groupBytesMax) {
      const members = this.#proposals.take();
      const { head, batches } = encodeCommands(members.map((member) => member.command));
      this.#logTime = Math.max(this.#logTime, this.machine.logTime, this.clock.now());
      const proposed = this.#raft.propose({ kind: "commands", logTime: this.#logTime, head, batches });
      if (!proposed.ok) {
        for (const member of members) member.reject(new NodeError("overloaded", "too much is waiting to be committed"));
        return;
      }
      this.#proposals.proposed(proposed.value.index, { term: proposed.value.term, members });
      groupBytes += head.length;
      for (const batch of batches) groupBytes += batch.length;
    }
  }

  /** Does what Raft asks for until it asks for nothing. Not re-entrant: work that ends at once is picked up by the loop. */
  #drive(): void {
    if (this.#driving || this.#failure !== undefined) return;
    this.#driving = true;
    try {
      for (;;) {
        this.#encodeWaiting();
        const ready = this.#raft.ready();
        if (ready === undefined) break;
        this.#raft.advance(ready);
        for (const read of ready.reads) this.#confirmed(read.context);
        for (const context of ready.refusedReads) this.#unconfirmed(context);
        if (ready.append !== undefined) void this.#append(ready.append);
        if (ready.apply !== undefined) this.#apply(ready.apply);
      }
    } catch (error) {
      this.#fail("internal", error);
    } finally {
      this.#driving = false;
    }
    if (this.#phase === "recovering" && (this.#caughtUp() || this.#blocked !== undefined)) this.#serve();
  }

  async #append(work: AppendWork): Promise<void> {
    const startedAt = this.clock.monotonic();
    try {
      if (work.hardState !== undefined) await this.#parts.hardState.write(work.hardState);
    } catch (error) {
      this.#fail("outcome-unknown", error);
      return;
    }
    try {
      if (work.entries.length > 0) await this.#log.append(work.entries);
    } catch (error) {
      const full = error instanceof DiskError && error.code === "no-space" && this.#log.poisoned === undefined;
      if (full) this.#stall(work);
      else this.#fail("outcome-unknown", error);
      return;
    }
    if (work.entries.length > 0) {
      const bytes = bytesOf(work.entries);
      this.#space.wrote(bytes);
      this.#parts.observer.synced(work.entries.length, bytes, this.clock.monotonic() - startedAt);
    }
    try {
      this.#raft.step(work.done);
    } catch (error) {
      this.#fail("internal", error);
      return;
    }
    this.#drive();
  }

  /**
   * No room for these entries; the log is as it was. They have their places already, so they are tried again until
   * there is room; what only waits to be written is refused.
   */
  #stall(work: AppendWork): void {
    this.#stalled = this.clock.schedule(this.limits.stalledRetryMs, () => {
      this.#stalled = undefined;
      // Of a group that spans two segments the first half may be there already.
      const entries = work.entries.filter((entry) => entry.index > this.#log.lastIndex);
      if (this.#failure === undefined) void this.#append({ ...work, hardState: undefined, entries });
    });
    this.#space.ranOut();
    this.#proposals.refuseWaiting(this.#fullError());
  }

  #apply(work: ApplyWork): void {
    const entries = this.#raft.entriesInMemory(work.from, work.to);
    if (entries.length === work.to - work.from + 1) {
      this.#applyEntries(entries);
      this.#raft.step({ kind: "apply-done", index: work.to });
    } else {
      void this.#applyFromDisk(work);
    }
  }

  /** Catching up after a restart: a bounded piece at a time, with a turn of the loop between two. */
  async #applyFromDisk(work: ApplyWork): Promise<void> {
    let next = work.from;
    try {
      while (next <= work.to) {
        const read = await this.#log.entries(next, work.to, this.limits.replayBytesMax);
        if (!read.ok) {
          this.#blocked = read.error;
          this.#parts.observer.event("apply-blocked", { position: next, damage: read.error });
          if (this.#phase === "recovering") this.#serve();
          return;
        }
        this.#applyEntries(read.value);
        next += read.value.length;
        await new Promise<void>((resolve) => this.clock.defer(resolve));
      }
      this.#raft.step({ kind: "apply-done", index: work.to });
    } catch (error) {
      this.#fail("internal", error);
      return;
    }
    this.#drive();
  }

  #applyEntries(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.machine.position + 1, "I4: entries are applied once, in order");
      const group = this.#proposals.settle(entry.index, entry.term);
      const commands = group?.members.map((member) => member.command) ?? commandsOf(entry);
      const applied = this.machine.apply(entry, commands);
      this.#log.applied(entry.index, applied.placements);
      if (group !== undefined) this.#answer(group, applied.results);
      for (const streamId of applied.changed) {
        this.#waiters.wake(streamId);
        this.#followers.changed(streamId);
      }
      for (const id of applied.groupsReady) this.#takers.wake(id);
    }
    this.#followers.progressed();
    this.#checkpointer.applied(bytesOf(entries));
    this.#deadlines.reschedule();
    if (this.#phase === "serving") this.#deadLetters.look();
    for (const listener of this.#listeners) listener();
  }

  #answer(group: Group, results: readonly CommandResult[]): void {
    const now = this.clock.monotonic();
    group.members.forEach((member: Pending, place) => {
      const result = results[place];
      assert(result !== undefined, "each command has one result");
      this.#parts.observer.proposed(result.kind, now - member.proposedAt);
      member.resolve(result);
    });
  }

  #caughtUp(): boolean {
    return (
      this.#raft.role === "leader" &&
      this.machine.position >= this.#replayTarget &&
      this.#raft.committed > this.#replayTarget
    );
  }

  #serve(): void {
    this.#phase = "serving";
    this.#deadlines.start();
    this.#deadLetters.look();
    this.#keepHouse();
    this.#settled?.resolve();
  }

  /** Whether the leader still leads; with one voter Raft answers at once. */
  #confirm(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#phase !== "serving" && this.#phase !== "stopping") {
      return Promise.reject(new NodeError("unavailable", `the node is ${this.#phase}`));
    }
    if (this.#blocked !== undefined) return Promise.reject(this.#blockedError());
    if (this.#barriers.size >= this.limits.barriersMax) {
      return Promise.reject(new NodeError("overloaded", "too many reads are waiting"));
    }
    const context = this.#nextContext;
    this.#nextContext += 1;
    const asked = this.#raft.readIndex(context);
    if (!asked.ok) return Promise.reject(new NodeError("unavailable", "there is no leader"));
    return new Promise((resolve, reject) => {
      this.#barriers.set(context, { resolve, reject });
      this.#drive();
    });
  }

  #confirmed(context: number): void {
    // Commit and apply are one step here: what was committed before the call is applied by now.
    this.#barriers.get(context)?.resolve();
    this.#barriers.delete(context);
  }

  /** Leadership ended before that was known; it may be asked again. */
  #unconfirmed(context: number): void {
    this.#barriers.get(context)?.reject(new NodeError("unavailable", "the leader changed"));
    this.#barriers.delete(context);
  }

  #keepHouse(): void {
    const work = async (): Promise<void> => {
      // Something beside the appends may have failed for good: sealing, a snapshot.
      if (this.#log.poisoned !== undefined) return this.#fail("outcome-unknown", this.#log.poisoned);
      this.#reportDamage();
      await this.#space.sample();
      // Only below a snapshot may the log be trimmed: with a full disk it is worth one.
      if (this.#space.full) await this.#checkpointer.snapshot();
      this.#checkpointer.due();
      if (this.#blocked !== undefined) return undefined;
      await this.#retention.run(this.#checkpointer);
      // Not waited for: it may take long, and what else is done here must not.
      void this.#compactor.run().catch((error: unknown) => this.#housekeepingFailed(error));
      return undefined;
    };
    work()
      .catch((error: unknown) => this.#housekeepingFailed(error))
      .finally(() => {
        if (this.#phase !== "serving") return;
        this.#housekeeping = this.clock.schedule(this.limits.housekeepingEveryMs, () => this.#keepHouse());
      });
  }

  #housekeepingFailed(error: unknown): void {
    this.#parts.observer.event("housekeeping-failed", { error: String(error) });
  }

  /** What was found since the last look, at the start or by a reader. */
  #reportDamage(): void {
    const { damage } = this.#log;
    for (const found of damage.slice(this.#damageReported)) this.#parts.observer.event("damage", found);
    this.#damageReported = damage.length;
  }

  /** A command of the node's own; nobody waits for its answer, and it is made again if it fails. */
  async #background(command: Command): Promise<void> {
    try {
      const result = await this.propose(command);
      if (result.kind === "rejected")
        this.#parts.observer.event("background-rejected", { command: command.kind, code: result.code });
    } catch (error) {
      this.#parts.observer.event("background-failed", { command: command.kind, error: String(error) });
    }
  }

  #fail(code: "internal" | "outcome-unknown", cause: unknown): void {
    if (this.#failure !== undefined) return;
    const message = cause instanceof Error ? cause.message : String(cause);
    this.#failure = new NodeError("unavailable", `the node has stopped: ${message}`, { cause });
    this.#phase = "failed";
    this.#parts.observer.event("node-failed", { error: message });
    this.#housekeeping?.cancel();
    this.#deadlines.stop();
    this.#touches.stop();
    void this.#deadLetters.stop();
    this.#proposals.fail(
      this.#failure,
      new NodeError("outcome-unknown", `the node has stopped: ${message}`, { cause }),
    );
    for (const barrier of this.#barriers.values()) barrier.reject(this.#failure);
    this.#barriers.clear();
    this.#waiters.wakeAll();
    this.#takers.wakeAll();
    this.#settled?.reject(this.#failure);
    for (const listener of this.#failed)
      listener(code === "internal" ? new NodeError("internal", message, { cause }) : this.#failure);
  }
}

function commandsOf(entry: Entry): readonly Command[] {
  if (entry.kind !== "commands") return [];
  const decoded = decodeCommands(entry.head, entry.batches);
  assert(decoded.ok, `I10: entry ${entry.index} cannot be decoded by this version`);
  return decoded.value;
}

function bytesOf(entries: readonly Entry[]): number {
  let bytes = 0;
  for (const entry of entries) {
    bytes += entry.head.length;
    for (const batch of entry.batches) bytes += batch.length;
  }
  return bytes;
}
