/**
 * One log on one node: Raft, the segmented log and the state machine, put together.
 *
 *     propose → queue → (end of turn) one entry → raft → append + sync → commit → apply → answer, wake readers
 *
 * It owns what is done with applied entries, what begins and ends with leadership, and the node's phases. What is proposed
 * comes through `consensus/intake.ts`, what drives Raft is `consensus/raft-loop.ts`, what sees to damage `repair/repairs.ts`;
 * what an entry means is the state machine's business.
 * Everything it needs from outside comes through ports, so the simulator can drive it. Faces (HTTP and others) see this
 * class only.
 */
import { assert } from "../../src/lib/assert.ts";
import { err, type Result } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { Entry, LogIndex, Term } from "../../src/wire/entry.ts";
import type { Member } from "../log/node-identity.ts";
import type { Damage } from "../log/repair/damage.ts";
import type { SegmentedLog } from "../log/segmented-log.ts";
import { entriesBytes } from "../raft/raft-log.ts";
import type { StreamsMachine } from "../streams/machine.ts";
import type { StreamView } from "../streams/views.ts";
import type { Behind } from "../../src/wire/stream-facts.ts";
import { AheadRoom } from "./reading/ahead-room.ts";
import { Barriers } from "./consensus/barriers.ts";
import { Checkpointer } from "./checkpointer.ts";
import { ClusterAdmin } from "./cluster/cluster-admin.ts";
import type { ClusterChange } from "./cluster/cluster-change.ts";
import { type ClusterStatus, clusterStatus } from "./cluster/cluster-status.ts";
import { handleStandings, withStandings } from "./cluster/standings.ts";
import { FEATURE_LEVEL_NEWEST, unsupportedLevel } from "../streams/feature-level.ts";
import { Belonging } from "./cluster/belonging.ts";
import { ClusterMembers } from "./cluster/cluster-members.ts";
import { Compactor } from "./compaction/compactor.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Deadlines } from "./deadlines.ts";
import { DiskSpace } from "./disk-space.ts";
import { type Follower, Followers } from "./reading/followers.ts";
import { FrontierMover } from "./compaction/frontier-mover.ts";
import { GroupLag, type LagPart } from "./reading/group-lag.ts";
import { Housekeeping } from "./housekeeping.ts";
import { Intake } from "./consensus/intake.ts";
import type { NodeLimits } from "./limits.ts";
import { Merge, type MergeStart } from "./reading/merge.ts";
import { NodeError } from "./node-error.ts";
import type { NodeParts } from "./node-parts.ts";
import { PeerCalls } from "./calls/peer-calls.ts";
import type { NodePhase, NodeStatus } from "./node-status.ts";
import { RaftLoop } from "./consensus/raft-loop.ts";
import { Readiness } from "./readiness.ts";
import { type HiddenError, Reader, type ReadError, type ReadOptions, type ReadResult } from "./reading/reader.ts";
import { Retention } from "./retention.ts";
import { offsetAtPlace } from "./reading/offset-at-place.ts";
import { offsetAtTime } from "./reading/offset-at-time.ts";
import { Repairs } from "./repair/repairs.ts";
import { Touches } from "./touches.ts";
import { Waiters } from "./reading/waiters.ts";

export class LogNode {
  readonly clusterId: string;
  readonly nodeName: string;
  readonly logId: number;
  /** For reading, synchronously; only this class applies to it. */
  readonly machine: StreamsMachine;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly limits: NodeLimits;
  /** Of live readers, by an operator. */
  readonly drain: Belonging["drain"];

  readonly #parts: NodeParts;
  readonly #log: SegmentedLog;
  /** Undefined: there are no others. */
  readonly #calls: PeerCalls | undefined;
  readonly #readiness: Readiness;
  readonly #intake: Intake;
  readonly #loop: RaftLoop;
  readonly #members: ClusterMembers;
  readonly #belonging: Belonging;
  readonly #admin: ClusterAdmin;
  readonly #repairs: Repairs;
  readonly #reader: Reader;
  readonly #barriers: Barriers;
  readonly #waiters: Waiters<number>;
  readonly #takers: Waiters<string>;
  readonly #groupLag: GroupLag;
  readonly #deadLetters: DeadLetters;
  readonly #followers: Followers;
  readonly #mergesRoom: AheadRoom;
  readonly #checkpointer: Checkpointer;
  readonly #retention: Retention;
  readonly #compactor: Compactor;
  readonly #housekeeping: Housekeeping;
  readonly #touches: Touches;
  readonly #space: DiskSpace;
  readonly #deadlines: Deadlines;
  readonly #listeners = new Set<() => void>();
  readonly #replayTarget: LogIndex;
  /** The term whose leader's work is done here. */
  #leading: Term | undefined;
  /** Whether this node has all that was decided before its start is being found out. */
  #lookingUp = false;
  #settled: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #startsAnew = false;

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
    this.#reader = new Reader(
      parts.log,
      parts.machine,
      (damage) => this.#repairs.told(damage),
      parts.zstd,
      parts.limits.batchBytesMax * 4,
    );
    this.#readiness = new Readiness(
      () => this.#belonging.removed,
      () => this.#repairs.hasOthers,
    );
    this.#barriers = new Barriers(parts);
    this.#waiters = new Waiters(parts.limits.waitersMax);
    this.#takers = new Waiters(parts.limits.groupWaitersMax);
    this.#groupLag = new GroupLag(this.#reader, parts);
    this.#deadLetters = new DeadLetters(parts, this.#reader, (command) => this.propose(command));
    this.#mergesRoom = new AheadRoom(parts.limits.mergesAheadBytesMax);
    this.#followers = new Followers(parts.limits.followedStreamsMax);
    this.#checkpointer = new Checkpointer(parts);
    this.#retention = new Retention(parts, (command) => this.#background(command));
    const frontiers = new FrontierMover(parts, (command) => this.#background(command));
    this.#compactor = new Compactor({
      ...parts,
      frontiers,
      snapshots: this.#checkpointer,
      repairs: () => this.#repairs,
      lengthen: () => this.#intake.unattended({ kind: "tick" }),
    });
    this.#space = new DiskSpace(parts, (full) => this.#belonging.standBack.set("disk", full));
    this.#deadlines = new Deadlines(parts, () => this.propose({ kind: "tick" }));
    this.#touches = new Touches(parts, (command) => this.#intake.unattended(command));
    this.#housekeeping = new Housekeeping(
      {
        ...parts,
        space: this.#space,
        checkpointer: this.#checkpointer,
        retention: this.#retention,
        compactor: this.#compactor,
      },
      () => this.#readiness.blocked !== undefined,
      (error) => this.#fail("outcome-unknown", error),
    );
    this.#calls = parts.cluster && new PeerCalls({ ...parts, link: parts.cluster.link });
    this.#repairs = new Repairs(parts, this.#calls, this.#checkpointer, {
      loop: () => this.#loop,
      blocked: () => this.#readiness.blocked,
      failed: (error) => this.#fail("outcome-unknown", error),
      contradicted: (error) => this.#fail("internal", error),
    });
    this.#belonging = new Belonging(parts, this.#calls, {
      loop: () => this.#loop,
      phase: () => this.#readiness.phase,
      supportedLevel: () => (this.#leading === undefined ? undefined : this.#admin.supportedLevel),
      raise: (level) => void this.#background({ kind: "feature-level", level }),
      isLeaving: () => this.#admin.isLeaving,
      serveNoMore: (why) => this.#startAnew(why),
    });
    this.drain = this.#belonging.drain;
    this.#admin = new ClusterAdmin(
      { ...parts, belonging: this.#belonging },
      this.#calls,
      () => this.#loop,
      (command) => this.propose(command),
    );
    handleStandings(this.#calls, () => this.clusterStatus());
    this.#members = new ClusterMembers(parts, this.#calls, (command) => this.propose(command));
    const taking = { ...parts, readiness: this.#readiness, space: this.#space };
    this.#intake = new Intake(taking, this.#calls, () => this.#loop);
    this.#loop = new RaftLoop(parts, this.#calls, {
      propose: () => this.#intake.write(),
      apply: (entries) => this.#applyEntries(entries),
      read: (context, index) => this.#barriers.confirmed(context, index, this.machine.position),
      readRefused: (context) => this.#barriers.refused(context),
      turned: () => this.#turned(),
      blocked: (damage) => this.#stopApplying(damage),
      synced: (entries, milliseconds) => this.#synced(entries, milliseconds),
      stalled: () => this.#intake.stalled(),
      replaced: () => this.#startAnew("it is too far behind, and starts anew with what the leader shipped"),
      failed: (code, error) => this.#fail(code, error),
    });
  }

  /**
   * Joins the others, or stands for election where there are none, applies what the state machine lacks, and resolves once
   * the node has been up to date with a leader: then it serves. With damage in the way it resolves too: the node then
   * serves what it can, and refuses the rest as `damaged`, or `repairing` while others may give it back.
   */
  start(): Promise<void> {
    assert(this.#readiness.phase === "recovering" && this.#settled === undefined, "a node is started once");
    return new Promise((resolve, reject) => {
      this.#settled = { resolve, reject };
      this.#members.start();
      this.#loop.start();
      this.#repairs.start();
      this.#belonging.start();
    });
  }

  /** With a failure: nothing is wrong. The leader has shipped a state, and the owner is to close this node and open it anew. */
  get startsAnew(): boolean {
    return this.#startsAnew;
  }

  /** Called once if the node can no longer go on, at once if that is so already: a failed sync is final (PITFALLS P30). */
  onFailure(listener: (error: NodeError) => void): void {
    if (this.#readiness.failure === undefined) this.#failed.push(listener);
    else listener(this.#readiness.failure);
  }

  /**
   * Puts a command into the log, through the leader wherever that is, and resolves with what applying it answered, once
   * it is applied here; a refusal is a result, too. Throws `NodeError`: `overloaded`, `unavailable`, `disk-full`,
   * `batch-too-large`, `malformed-command`, `damaged` or `repairing` (nothing was done), or `outcome-unknown`.
   */
  propose(command: Command): Promise<CommandResult> {
    return this.#intake.propose(command);
  }

  /**
   * A linearizable point, on any node: once it resolves, everything committed before the call is applied here, and
   * everything that was due by the leader's clock has expired (I14: by an entry, never by the clock alone). Throws
   * `NodeError`: `unavailable`, `overloaded`, or `damaged` or `repairing` where there is no such point, see `tailKnown`.
   */
  async barrier(): Promise<void> {
    await this.#confirm();
    if (!this.#deadlines.passed) return;
    await this.#touches.flush();
    if (this.#leading === undefined) await this.#deadlines.elapsed();
    else {
      await this.#deadlines.tick();
      // The one that was under way may be stamped before what passed since.
      if (this.#deadlines.passed) await this.#deadlines.tick();
    }
  }

  /** Records of a stream from an offset on. See `ReadResult`. */
  read(stream: StreamView, from: Offset, options: ReadOptions): Promise<Result<ReadResult, ReadError>> {
    return this.#reader.read(stream, from, options);
  }

  /** A client has read this stream: its sliding expiry starts anew, by a command that collects many of these. */
  touch(name: string): void {
    if (this.#readiness.phase === "serving") this.#touches.add(name);
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
  async offsetAtTime(stream: StreamView, atMs: number): Promise<Result<Offset, HiddenError>> {
    const found = await offsetAtTime(this.#log, this.machine, stream, atMs);
    return found.ok ? found : err(this.#repairs.told(found.error));
  }

  /**
   * Reads all that is sealed, now: over once `status().scrub.passes` has reached the answer. What is found is in
   * `status().damage` then, unless others have made it good already.
   */
  verify(): number {
    return this.#repairs.verify();
  }

  /** Called after entries were applied. Returns how to stop listening. */
  onApplied(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** False where damage keeps this node from applying the whole log: nobody may be told that a stream ends, or is not there. */
  get tailKnown(): boolean {
    return this.#readiness.blocked === undefined;
  }

  /** What to say at the end of what is known, where `tailKnown` is false. */
  tailUnknown(): NodeError {
    return this.#readiness.tailUnknown();
  }

  /** How far this node may be behind. */
  behind(): Behind {
    const entries = Math.max(0, this.#loop.committed - this.machine.position);
    const silentMs = this.#leading === undefined ? this.#loop.leaderSilentMs : 0;
    return silentMs === undefined ? { entries } : { entries, silentMs: Math.round(silentMs) };
  }

  /** The position everything up to which is applied here. */
  get position(): LogIndex {
    return this.machine.position;
  }

  /** This node leads the log, and takes commands. */
  get leads(): boolean {
    return this.#leading !== undefined;
  }

  get phase(): NodePhase {
    return this.#readiness.told;
  }

  /** Done by the leader, at whichever node it is asked for. Throws `NodeError`, of which `cluster-conflict` is one. */
  changeCluster(change: ClusterChange): Promise<void> {
    return this.#admin.change(change);
  }

  /** Of a cluster that was lost, all that is left: see `recovery.ts`. Resolves with a position from which the log says so. */
  recover(member: Member): Promise<LogIndex> {
    return this.#admin.recover(member);
  }

  /** As `clusterStatus`, with what the leader says of the others. */
  clusterView(): Promise<ClusterStatus> {
    return withStandings(this.clusterStatus(), this.#calls, this.#parts.limits.factsAnswerMsMax);
  }

  /** The cluster as this node sees it; how far the others are is the leader's to say. */
  clusterStatus(): ClusterStatus {
    return clusterStatus(this.#parts, this.#loop.status(), this.#belonging, this.#loop.sending);
  }

  status(): NodeStatus {
    const { role, leader, followers } = this.#loop.status();
    return {
      phase: this.phase,
      progress: {
        phase: this.#readiness.phase === "recovering" ? "replay" : this.#readiness.phase,
        done: this.machine.position,
        total: this.#replayTarget,
      },
      hasLeader: leader !== undefined,
      role,
      leader,
      followers,
      refusedMessages: this.#loop.refusedMessages,
      term: this.#loop.term,
      commitIndex: this.#loop.committed,
      appliedIndex: this.machine.position,
      lastIndex: this.#loop.lastIndex,
      damage: this.#log.damage,
      blocked: this.#readiness.blocked,
      sending: this.#loop.sending,
      waitingForSnapshots: this.#loop.waitingForSnapshots,
      receiving: this.#loop.receiving,
      shipping: this.#loop.shipping,
      ...this.#repairs.status,
      standsBack: this.#belonging.standBack.reasons,
      clockOffMs: this.#belonging.clockOffMs,
      freeBytes: this.#space.freeBytes,
      diskFull: this.#space.full,
      ...this.#intake.status,
      waitingReaders: this.#waiters.count,
      waitingBarriers: this.#barriers.count,
      streams: this.machine.streamCount,
      groups: () => ({ count: this.machine.groupCount, ...this.machine.groupTotals() }),
      apps: () => this.machine.appTotals(),
      snapshotPosition: this.#checkpointer.snapshotPosition,
      compaction: this.#compactor.status,
    };
  }

  /** Refuses new commands, finishes those under way, hands leadership over, saves the image, and proves the log's end. */
  async stop(): Promise<void> {
    if (this.#readiness.phase === "stopped" || this.#readiness.phase === "stopping") return;
    const failed = this.#readiness.phase === "failed";
    if (!failed) this.#readiness.phase = "stopping";
    this.#touches.stop();
    const kept = this.#housekeeping.stop();
    this.#checkpointer.halt();
    this.#deadlines.stop();
    const moved = this.#deadLetters.stop();
    await this.#finishUnderWay();
    const stopping = new NodeError("unavailable", "the node is stopping");
    this.#intake.stopForwarding(stopping);
    this.#calls?.stop();
    await this.#repairs.stop();
    await this.#belonging.stop();
    await this.#loop.stop();
    const unwritten = new NodeError("outcome-unknown", "the node stopped before this was decided");
    this.#intake.fail(unwritten, unwritten);
    this.#barriers.fail(stopping);
    this.#settled?.reject(stopping);
    this.#waiters.wakeAll();
    this.#takers.wakeAll();
    await moved;
    await kept;
    await this.#compactor.stop();
    await this.#checkpointer.stop(!failed && this.#readiness.failure === undefined);
    await this.#log.close();
    await this.#parts.hardState.close();
    if (!failed) this.#readiness.phase = "stopped";
  }

  /** What was proposed is answered, unless the disk has no room for it, or the others do not answer. */
  async #finishUnderWay(): Promise<void> {
    const { cluster, limits } = this.#parts;
    const busy = (): boolean => this.#readiness.failure === undefined && !this.#loop.stalled && this.#intake.underWay;
    if (cluster === undefined) {
      while (busy()) await new Promise<void>((resolve) => this.clock.defer(resolve));
      return;
    }
    const until = this.clock.monotonic() + limits.stopWaitMsMax;
    const atMost = async (waiting: () => boolean): Promise<void> => {
      while (waiting() && this.clock.monotonic() < until)
        await new Promise<void>((resolve) => void this.clock.schedule(limits.tickMs, resolve));
    };
    await atMost(busy);
    if (this.#readiness.failure !== undefined || this.#loop.role !== "leader") return;
    this.#loop.handOver();
    await atMost(
      () => this.#readiness.failure === undefined && this.#loop.role === "leader" && this.#loop.transferring,
    );
  }

  /** The loop has done what there was to do: this node may lead now, or no more, or have come up to date. */
  #turned(): void {
    const leads = this.#loop.leads;
    if (leads !== this.#leading) {
      if (this.#leading !== undefined) this.#stopLeading();
      this.#leading = leads;
      if (leads !== undefined && this.#readiness.phase === "serving") this.#startLeading();
    }
    // Others may be able to apply what damage hides here.
    if (this.#loop.role === "leader" && this.#readiness.blocked !== undefined) this.#loop.handOver();
    this.#intake.turned();
    if (this.#loop.leader === undefined) this.#members.lost();
    else this.#lookUp();
  }

  /** With a leader at hand: what was decided before, and who belongs to the cluster, is known once that is applied here. */
  #lookUp(): void {
    const isDue =
      this.#readiness.phase === "recovering" || (this.#readiness.phase === "serving" && !this.#members.upToDate);
    if (!isDue || this.#lookingUp) return;
    this.#lookingUp = true;
    this.#barriers
      .ask((context) => this.#loop.readIndex(context), true)
      .then(() => {
        this.#serve();
        this.#members.serving();
      })
      .catch(() => undefined)
      .finally(() => {
        this.#lookingUp = false;
      });
  }

  /** What only one node does, lest it be done twice; all of it is decided by entries, so if two do no harm is done. */
  #startLeading(): void {
    this.#members.lead();
    this.#deadlines.start();
    this.#deadLetters.resume();
    this.#belonging.leads();
  }

  #stopLeading(): void {
    this.#deadlines.stop();
    this.#deadLetters.pause();
    this.#intake.leadershipLost(() => this.#leading);
  }

  #synced(entries: readonly Entry[], milliseconds: number): void {
    const bytes = entriesBytes(entries);
    this.#space.wrote(bytes);
    this.#parts.observer.synced(entries.length, bytes, milliseconds);
  }

  #stopApplying(damage: Damage): void {
    this.#readiness.blocked = damage;
    this.#barriers.fail(this.#readiness.blockedBy(damage));
    this.#serve();
  }

  #applyEntries(entries: readonly Entry[]): void {
    // What was in the way is there again.
    this.#readiness.blocked = undefined;
    for (const entry of entries) {
      assert(entry.index === this.machine.position + 1, "I4: entries are applied once, in order");
      const { commands, group } = this.#intake.settle(entry);
      const applied = this.machine.apply(entry, commands);
      this.#log.applied(entry.index, applied.placements);
      this.#repairs.applied(entry.index);
      if (group !== undefined) {
        this.#intake.answer(group, applied.results);
        // They tell their clients once they have applied it themselves.
        if (group.members.some(({ origin }) => origin === "peer")) this.#loop.announce();
      }
      for (const streamId of applied.changed) {
        this.#waiters.wake(streamId);
        this.#followers.changed(streamId);
      }
      for (const id of applied.groupsReady) this.#takers.wake(id);
    }
    if (this.machine.featureLevel > FEATURE_LEVEL_NEWEST)
      return this.#fail("internal", new Error(unsupportedLevel(this.machine.featureLevel)));
    this.#members.applied();
    this.#followers.progressed();
    this.#checkpointer.applied(entriesBytes(entries));
    this.#deadlines.reschedule();
    if (this.#readiness.phase === "serving" && this.#leading !== undefined) this.#deadLetters.look();
    this.#barriers.applied(this.machine.position);
    this.#intake.applied(this.machine.position);
    for (const listener of this.#listeners) listener();
  }

  #serve(): void {
    if (this.#readiness.phase !== "recovering" || this.#parts.bereft !== undefined) return;
    this.#readiness.phase = "serving";
    if (this.#leading !== undefined) this.#startLeading();
    this.#housekeeping.start();
    this.#members.serving();
    this.#settled?.resolve();
  }

  /** Everything committed before the call is applied here. Where the leader changes meanwhile it is asked again. */
  async #confirm(): Promise<void> {
    const until = this.clock.monotonic() + this.limits.leaderWaitMsMax;
    for (;;) {
      try {
        await this.#askPoint();
        return;
      } catch (error) {
        const again = error instanceof NodeError && error.code === "unavailable" && this.#readiness.phase === "serving";
        if (!again || this.#parts.cluster === undefined || this.clock.monotonic() >= until) throw error;
      }
      await new Promise<void>((resolve) => void this.clock.schedule(this.limits.forwardRetryMs, resolve));
    }
  }

  #askPoint(): Promise<void> {
    const { noReads } = this.#readiness;
    if (noReads !== undefined) return Promise.reject(noReads);
    return this.#barriers.ask((context) => this.#loop.readIndex(context));
  }

  /** A command of the leader's own; nobody waits for its answer, and it is made again if it fails. */
  async #background(command: Command): Promise<void> {
    if (this.#leading !== undefined) await this.#intake.unattended(command);
  }

  /** What waits here is told to ask again: after that the new state is served. */
  #startAnew(why: string): void {
    this.#startsAnew = true;
    this.#fail("outcome-unknown", new Error(why));
  }

  #fail(code: "internal" | "outcome-unknown", cause: unknown): void {
    if (this.#readiness.failure !== undefined) return;
    const message = cause instanceof Error ? cause.message : String(cause);
    const failure = new NodeError("unavailable", `the node has stopped: ${message}`, { cause });
    this.#readiness.failure = failure;
    this.#readiness.phase = "failed";
    this.#parts.observer.event(this.#startsAnew ? "node-starts-anew" : "node-failed", { error: message });
    void this.#loop.stop();
    this.#intake.stopForwarding(failure);
    this.#calls?.stop();
    void this.#repairs.stop();
    void this.#belonging.stop();
    void this.#housekeeping.stop();
    this.#checkpointer.halt();
    this.#deadlines.stop();
    this.#touches.stop();
    void this.#deadLetters.stop();
    this.#intake.fail(failure, new NodeError("outcome-unknown", `the node has stopped: ${message}`, { cause }));
    this.#barriers.fail(failure);
    this.#waiters.wakeAll();
    this.#takers.wakeAll();
    this.#settled?.reject(failure);
    for (const listener of this.#failed)
      listener(code === "internal" ? new NodeError("internal", message, { cause }) : failure);
  }
}
