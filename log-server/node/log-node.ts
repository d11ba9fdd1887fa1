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
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Offset } from "../../src/record/offset.ts";
import { checkCommand } from "../../src/wire/check-command.ts";
import { decodeCommands, encodeCommands } from "../../src/wire/command-codec.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { Entry, LogIndex } from "../../src/wire/entry.ts";
import type { HardStateFile } from "../log/hard-state.ts";
import type { Damage } from "../log/damage.ts";
import type { SegmentedLog } from "../log/segmented-log.ts";
import { RawNode } from "../raft/raw-node.ts";
import type { AppendWork, ApplyWork } from "../raft/types.ts";
import type { StreamsMachine } from "../streams/machine.ts";
import type { StreamView } from "../streams/views.ts";
import { Checkpointer } from "./checkpointer.ts";
import type { NodeLimits } from "./limits.ts";
import { NodeError } from "./node-error.ts";
import type { NodeObserver } from "./observer.ts";
import { commandBytes, type Group, type Pending, Proposals } from "./proposals.ts";
import { Reader, type ReadError, type ReadOptions, type ReadResult } from "./reader.ts";
import { Retention } from "./retention.ts";
import { Touches } from "./touches.ts";
import { Waiters } from "./waiters.ts";

export type NodePhase = "recovering" | "serving" | "stopping" | "stopped" | "failed";

export type NodeStatus = {
  readonly phase: NodePhase;
  /** While recovering: log positions re-applied, of how many. */
  readonly progress: { readonly phase: string; readonly done: number; readonly total: number };
  readonly hasLeader: boolean;
  readonly term: number;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly damage: readonly Damage[];
  readonly freeBytes: number;
  readonly diskFull: boolean;
  readonly waitingProposals: number;
  readonly waitingReaders: number;
  readonly streams: number;
  readonly snapshotPosition: LogIndex;
};

export type NodeParts = {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly logId: number;
  readonly log: SegmentedLog;
  readonly hardState: HardStateFile;
  readonly machine: StreamsMachine;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly zstd: Zstd | undefined;
  readonly limits: NodeLimits;
  readonly observer: NodeObserver;
  /** Changes already in the machine that its image lacks: all of it, when restored from a snapshot. */
  readonly imagePosition: LogIndex;
  readonly snapshotPosition: LogIndex;
};

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
  readonly #waiters: Waiters;
  readonly #checkpointer: Checkpointer;
  readonly #retention: Retention;
  readonly #touches: Touches;
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
  #diskFull = false;
  #freeBytes = Number.MAX_SAFE_INTEGER;
  #ticking: Promise<void> | undefined;
  #deadlineTimer: { readonly at: number; readonly timer: Timer } | undefined;
  #housekeeping: Timer | undefined;
  #settled: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #failure: NodeError | undefined;
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
    this.#checkpointer = new Checkpointer(parts);
    this.#retention = new Retention(parts, (command) => this.#background(command));
    this.#touches = new Touches(parts, (command) => this.#background(command));
    this.#raft = new RawNode({
      id: parts.nodeName,
      voters: [parts.nodeName],
      hardState: { term: parts.hardState.state.term, vote: parts.hardState.state.vote },
      last: { index: parts.log.lastIndex, term: parts.log.lastTerm },
      applied: parts.machine.position,
      electionTicks: 1,
      uncommittedBytesMax: parts.limits.groupBytesMax * 2,
    });
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

  /** Called once if the node can no longer go on: a failed sync is final (PITFALLS P30). */
  onFailure(listener: (error: NodeError) => void): void {
    this.#failed.push(listener);
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
   * was due by this node's clock has expired (I14: by an entry, never by the clock alone).
   */
  async barrier(): Promise<void> {
    await this.#confirm();
    const deadline = this.machine.nextDeadline();
    if (deadline !== undefined && deadline <= this.clock.now()) {
      await this.#touches.flush();
      await this.#tick();
    }
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

  /** Called after entries were applied. Returns how to stop listening. */
  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
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
      freeBytes: this.#freeBytes,
      diskFull: this.#diskFull,
      waitingProposals: this.#proposals.waiting,
      waitingReaders: this.#waiters.count,
      streams: this.machine.streamCount,
      snapshotPosition: this.#checkpointer.snapshotPosition,
    };
  }

  /** Refuses new commands, finishes those under way, saves the image, and proves the log's end. */
  async stop(): Promise<void> {
    if (this.#phase === "stopped" || this.#phase === "stopping") return;
    const failed = this.#phase === "failed";
    if (!failed) this.#phase = "stopping";
    this.#touches.stop();
    this.#housekeeping?.cancel();
    this.#deadlineTimer?.timer.cancel();
    while (!failed && this.#failure === undefined && (this.#proposals.waiting > 0 || this.#proposals.inFlight > 0)) {
      await new Promise<void>((resolve) => this.clock.defer(resolve));
    }
    this.#waiters.wakeAll();
    await this.#retention.idle();
    await this.#checkpointer.stop(!failed && this.#failure === undefined);
    await this.#log.close();
    await this.#parts.hardState.close();
    if (!failed) this.#phase = "stopped";
  }

  #refusal(command: Command): NodeError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#phase !== "serving") return new NodeError("unavailable", `the node is ${this.#phase}`);
    if (this.#blocked !== undefined)
      return new NodeError("damaged", `the log cannot be applied past damage: ${this.#blocked.message}`);
    const checked = checkCommand(command);
    if (!checked.ok) return new NodeError(checked.error.code, checked.error.message);
    const oversized = oversizedBatch(command, this.limits.batchBytesMax);
    if (oversized !== undefined) {
      return new NodeError(
        "batch-too-large",
        `a batch has ${oversized} bytes; at most ${this.limits.batchBytesMax} are allowed`,
      );
    }
    if (this.#diskFull && growsTheLog(command)) {
      return new NodeError("disk-full", `only ${this.#freeBytes} bytes are free on the disk`);
    }
    return undefined;
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
      if (work.entries.length > 0) await this.#log.append(work.entries);
    } catch (error) {
      this.#fail("outcome-unknown", error);
      return;
    }
    if (work.entries.length > 0) {
      this.#parts.observer.synced(work.entries.length, bytesOf(work.entries), this.clock.monotonic() - startedAt);
    }
    try {
      this.#raft.step(work.done);
    } catch (error) {
      this.#fail("internal", error);
      return;
    }
    this.#drive();
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
      for (const streamId of applied.changed) this.#waiters.wake(streamId);
    }
    this.#checkpointer.applied(bytesOf(entries));
    this.#scheduleDeadline();
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
    this.#scheduleDeadline();
    this.#keepHouse();
    this.#settled?.resolve();
  }

  /** Whether the leader still leads; with one voter Raft answers at once. */
  #confirm(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#phase !== "serving" && this.#phase !== "stopping") {
      return Promise.reject(new NodeError("unavailable", `the node is ${this.#phase}`));
    }
    if (this.#blocked !== undefined) return Promise.resolve();
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

  /** Lets what is due by this clock expire, through an entry. Callers at the same time share one. */
  #tick(): Promise<void> {
    this.#ticking ??= this.propose({ kind: "tick" })
      .then(() => undefined)
      .finally(() => {
        this.#ticking = undefined;
      });
    return this.#ticking;
  }

  #scheduleDeadline(): void {
    if (this.#phase !== "serving") return;
    const deadline = this.machine.nextDeadline();
    if (deadline === this.#deadlineTimer?.at) return;
    this.#deadlineTimer?.timer.cancel();
    this.#deadlineTimer = undefined;
    if (deadline === undefined) return;
    const delay = Math.min(Math.max(0, deadline - this.clock.now()), MAX_TIMER_MS);
    const timer = this.clock.schedule(delay, () => {
      this.#deadlineTimer = undefined;
      if (this.#phase !== "serving") return;
      if (deadline > this.clock.now()) this.#scheduleDeadline();
      else
        this.#tick().then(
          () => this.#scheduleDeadline(),
          () => this.#retryDeadline(),
        );
    });
    this.#deadlineTimer = { at: deadline, timer };
  }

  #retryDeadline(): void {
    if (this.#phase !== "serving" || this.#deadlineTimer !== undefined) return;
    const timer = this.clock.schedule(RETRY_MS, () => {
      this.#deadlineTimer = undefined;
      this.#scheduleDeadline();
    });
    this.#deadlineTimer = { at: Number.NaN, timer };
  }

  #keepHouse(): void {
    const work = async (): Promise<void> => {
      this.#freeBytes = await this.#log.freeBytes();
      const full = this.#freeBytes < this.limits.lowWaterBytes;
      if (full !== this.#diskFull)
        this.#parts.observer.event(full ? "disk-full" : "disk-freed", { freeBytes: this.#freeBytes });
      this.#diskFull = full;
      this.#checkpointer.due();
      if (this.#blocked === undefined) await this.#retention.run(this.#checkpointer);
    };
    work()
      .catch((error: unknown) => this.#parts.observer.event("housekeeping-failed", { error: String(error) }))
      .finally(() => {
        if (this.#phase !== "serving") return;
        this.#housekeeping = this.clock.schedule(this.limits.housekeepingEveryMs, () => this.#keepHouse());
      });
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
    this.#deadlineTimer?.timer.cancel();
    this.#touches.stop();
    this.#proposals.fail(
      this.#failure,
      new NodeError("outcome-unknown", `the node has stopped: ${message}`, { cause }),
    );
    for (const barrier of this.#barriers.values()) barrier.reject(this.#failure);
    this.#barriers.clear();
    this.#waiters.wakeAll();
    this.#settled?.reject(this.#failure);
    for (const listener of this.#failed)
      listener(code === "internal" ? new NodeError("internal", message, { cause }) : this.#failure);
  }
}

/** Longer delays are cut into pieces: timers of the platform overflow at 2^31 milliseconds. */
const MAX_TIMER_MS = 60_000;
const RETRY_MS = 1_000;

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

function oversizedBatch(command: Command, max: number): number | undefined {
  if (command.kind === "transaction") {
    for (const operation of command.operations) {
      const oversized = oversizedBatch(operation, max);
      if (oversized !== undefined) return oversized;
    }
    return undefined;
  }
  const length = "batch" in command ? (command.batch?.length ?? 0) : 0;
  return length > max ? length : undefined;
}

/** With a full disk, what frees space or moves log time still goes on; what adds data does not. */
function growsTheLog(command: Command): boolean {
  switch (command.kind) {
    case "create":
    case "append":
    case "cursor":
    case "transaction":
    case "subscription-create":
    case "subscription-link":
    case "subscription-wake":
      return true;
    default:
      return false;
  }
}
