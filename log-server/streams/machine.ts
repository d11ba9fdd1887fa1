/**
 * The replicated state machine: what the log means. A deterministic function of the entries applied, synchronous and
 * without any other input (I9, I10): the same entries, or a snapshot and the entries after it, give byte-identical
 * rows and the same results on every node.
 *
 * It knows streams by their offsets only; their records stay in the log. `apply` is the one way to change it; all else
 * reads. Its parts: one file for each entity, one for each kind of command.
 */
import { assert, unreachable } from "../../src/lib/assert.ts";
import { compareBytes } from "../../src/lib/bytes.ts";
import { ok, type Result } from "../../src/lib/result.ts";
import type { Offset } from "../../src/record/offset.ts";
import type { Row, RowChange } from "../../src/record/row.ts";
import type { Command, CommandResult, StreamName } from "../../src/wire/command.ts";
import type { Entry } from "../../src/wire/entry.ts";
import type { GroupTotals } from "../../src/wire/group-look-up.ts";
import { appendRecords } from "./append-records.ts";
import { appendRun } from "./append-run.ts";
import { type AppTotals, type AppView, totalsOfApps, viewOfApp } from "./apps/app-views.ts";
import { removeMember, setConfiguration, setMember } from "./cluster-members.ts";
import { raiseFeatureLevel } from "./feature-level.ts";
import { compactStream } from "./compact-stream.ts";
import { createStream } from "./create-stream.ts";
import { doWhatIsDue, nextDeadline } from "./due.ts";
import { NeededRecords, readRanges } from "./inherited-records.ts";
import { balanceGroups } from "./groups/group-balance.ts";
import {
  type DeadRecord,
  deadIn,
  type GroupOutline,
  type GroupView,
  outlineOfGroup,
  totalsOfGroups,
  viewOfGroup,
} from "./groups/group-views.ts";
import type { StreamsLimits } from "./limits.ts";
import {
  createSubscription,
  deleteSubscription,
  linkStreams,
  unlinkStream,
} from "./subscriptions/manage-subscription.ts";
import { restoreState } from "./restore.ts";
import type { RowOwner } from "./rows.ts";
import { runAppCommand } from "./apps/run-app-command.ts";
import { runGroupCommand } from "./groups/run-group-command.ts";
import { runTransaction } from "./run-transaction.ts";
import {
  ackSubscription,
  claimSubscription,
  failSubscription,
  releaseSubscription,
  wakeSubscription,
} from "./subscriptions/serve-subscription.ts";
import { freshIn } from "./groups/serve-queue.ts";
import { setCursor } from "./set-cursor.ts";
import { State } from "./state.ts";
import { Step } from "./step.ts";
import { changeSettings, deleteStream, touchStreams, trimStream } from "./stream-upkeep.ts";
import { type Stream, viewOfStream } from "./stream.ts";
import { type Subscription, viewOfSubscription } from "./subscriptions/subscription.ts";
import { neededIn } from "./apps/task-snapshot.ts";
import type { Applied, ReadRange, MemberView, StreamPage, StreamView, SubscriptionView } from "./views.ts";

export class StreamsMachine {
  readonly #state: State;
  /** These are worked out when asked for, and good until the next entry. */
  #needed: { readonly position: number; readonly records: NeededRecords } | undefined;
  #groupTotals: { readonly position: number; readonly totals: GroupTotals } | undefined;

  constructor(limits: StreamsLimits, state: State = emptyState(limits)) {
    this.#state = state;
  }

  /** The machine that has these rows; they count as drained. No rows: one that has applied nothing. */
  static restore(rows: Iterable<Row>, limits: StreamsLimits): Result<StreamsMachine, string> {
    const state = restoreState(rows, limits);
    return state.ok ? ok(new StreamsMachine(limits, state.value)) : state;
  }

  /** Applies the next entry. One that is not of commands has none; of one of Raft's configurations the newest is kept. */
  apply(
    entry: Pick<Entry, "index" | "logTime"> & Partial<Pick<Entry, "kind" | "head">>,
    commands: readonly Command[],
  ): Applied {
    const { position, ledger, limits, groups } = this.#state;
    assert(entry.index === position.index + 1, "I4: entries are applied in order, each once");
    position.index = entry.index;
    position.logTime = Math.max(position.logTime, entry.logTime);
    ledger.touch(position);
    const step = new Step(entry.index, position.logTime, limits.duePerEntryMax);
    if (entry.kind === "configuration" && entry.head !== undefined) setConfiguration(this.#state, entry.head);
    const hadRoom = groups.hasSharedRoom;
    doWhatIsDue(this.#state, step);
    const results: CommandResult[] = [];
    for (const command of commands) {
      results.push(run(this.#state, step, command));
      // These have settled each of theirs.
      if (command.kind !== "transaction" && command.kind !== "append-run")
        step.settle("batch" in command ? command.batch : undefined);
      balanceGroups(this.#state, step);
    }
    if (!hadRoom && groups.hasSharedRoom) groups.roomMade(step);
    return {
      results,
      placements: step.placements,
      changed: [...step.changed],
      subscriptionsChanged: step.subscriptionsChanged,
      groupsReady: [...step.groupsReady].sort(),
    };
  }

  /** Of the last entry applied; 0 before the first. */
  get position(): number {
    return this.#state.position.index;
  }

  get logTime(): number {
    return this.#state.position.logTime;
  }

  /** The configuration in effect, as in its entry; empty where that is still the one of the founding. */
  get configuration(): Uint8Array {
    return this.#state.configuration.head;
  }

  /** Grows whenever the members, former ones or the feature level may be others. */
  get memberChanges(): number {
    return this.#state.memberChanges;
  }

  /** Nodes with their disks and addresses, sorted by name. */
  /** 0: the log has said nothing, which is as 1. */
  get featureLevel(): number {
    return this.#state.featureLevel.level;
  }

  /** Was a member's, and is none's now. */
  isFormerDisk(disk: string): boolean {
    return this.#state.formerDisks.has(disk);
  }

  get members(): readonly MemberView[] {
    const members = [...this.#state.members.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
    return members.map(({ node, disk, host, port }) => ({ node, disk, host, port }));
  }

  /** Soft-deleted ones too. */
  get streamCount(): number {
    return this.#state.streams.size;
  }

  stream(name: StreamName): StreamView | undefined {
    return this.#view(this.#state.names.get(name));
  }

  /** Of the stream that `stream` shows. Each append asks for it, and a view would be dear. */
  contentTypeOf(name: StreamName): string | undefined {
    const stream = this.#state.names.get(name);
    return stream && this.#isThere(stream) ? stream.contentType : undefined;
  }

  streamById(id: number): StreamView | undefined {
    return this.#view(this.#state.streams.get(id));
  }

  /** In order of their creation. Valid until the next entry is applied. */
  *streams(): Iterable<StreamView> {
    const { position } = this;
    for (const stream of sortedById(this.#state.streams.values())) {
      assert(position === this.position, "streams are listed between two entries");
      const view = this.#view(stream);
      if (view !== undefined) yield view;
    }
  }

  /**
   * A page of the streams whose names begin with `prefix` and come after `after`. It looks at no more than `limit` names;
   * those that are deleted are left out, so that a page may be short and yet not the last.
   */
  list(prefix: string, after: string, limit: number): StreamPage {
    const streams: StreamView[] = [];
    let looked = 0;
    let last = after;
    for (const name of this.#state.nameOrder.names(prefix, after)) {
      if (looked >= limit) return { streams, next: last };
      looked += 1;
      last = name;
      const view = this.stream(name);
      if (view !== undefined && !view.deleted) streams.push(view);
    }
    return { streams };
  }

  /** Names of the streams that have retention settings. */
  retainedStreams(): readonly StreamName[] {
    return sortedById(this.#state.retained).map((stream) => stream.name);
  }

  /** Where the records `[from, to)` of a stream lie, its sources' included; what is trimmed or not there yet is left out. */
  readRanges(streamId: number, from: Offset, to: Offset): readonly ReadRange[] {
    const stream = this.#state.streams.get(streamId);
    return stream === undefined ? [] : readRanges(stream, from, to);
  }

  /** Whether anyone may still read a record that was appended to the stream before `endOffset`. */
  isLive(streamId: number, endOffset: Offset): boolean {
    return this.neededFrom(streamId) < endOffset;
  }

  /** Of the records that were appended to the stream, those before this are gone for everyone; infinite: all are. */
  neededFrom(streamId: number): Offset {
    const stream = this.#state.streams.get(streamId);
    if (stream === undefined) return Number.POSITIVE_INFINITY;
    if (this.#needed?.position !== this.position) {
      this.#needed = { position: this.position, records: new NeededRecords() };
    }
    return this.#needed.records.from(stream);
  }

  cursor(name: string): Uint8Array | undefined {
    return this.#state.cursors.get(name)?.value;
  }

  subscription(id: string): SubscriptionView | undefined {
    return this.#subscriptionView(this.#state.subscriptions.get(id));
  }

  /** In order of their ids. */
  subscriptions(): readonly SubscriptionView[] {
    return this.#state.subscriptions.all().map(viewOfSubscription);
  }

  /** Idle, with something pending, not waiting for a retry, and with a wake stream to write to where it needs one. */
  wakeable(): readonly SubscriptionView[] {
    return this.#state.subscriptions
      .ready()
      .filter((subscription) => this.#canBeWoken(subscription))
      .map(viewOfSubscription);
  }

  group(id: string): GroupView | undefined {
    const group = this.#state.groups.get(id);
    return group && viewOfGroup(group);
  }

  /** The same but for its members and streams: its cost does not depend on them. */
  groupOutline(id: string): GroupOutline | undefined {
    const group = this.#state.groups.get(id);
    return group && outlineOfGroup(group);
  }

  /** In order of their ids, those after `after`. Valid until the next entry is applied. */
  *groups(after = ""): Iterable<GroupView> {
    const { position } = this;
    for (const group of this.#state.groups.after(after)) {
      assert(position === this.position, "groups are listed between two entries");
      yield viewOfGroup(group);
    }
  }

  hasGroup(id: string): boolean {
    return this.#state.groups.get(id) !== undefined;
  }

  get groupCount(): number {
    return this.#state.groups.count;
  }

  /** Of all groups together. */
  groupTotals(): GroupTotals {
    const { position } = this;
    if (this.#groupTotals?.position !== position) {
      this.#groupTotals = { position, totals: totalsOfGroups(this.#state.groups.all()) };
    }
    return this.#groupTotals.totals;
  }

  /** Log time from which on a take would find something, as things are now; 0: at once. Undefined: there is nothing. */
  takeableAt(id: string): number | undefined {
    let first: number | undefined;
    for (const queue of this.#state.groups.get(id)?.ready ?? []) {
      if (queue.stream.isDue(this.logTime)) continue;
      if (freshIn(this.#state, queue) > 0) return 0;
      for (const { state } of queue.records.all) {
        if (state.kind === "resting") first = Math.min(first ?? state.dueMs, state.dueMs);
      }
    }
    return first;
  }

  app(name: string): AppView | undefined {
    const app = this.#state.apps.get(name);
    return app && viewOfApp(app);
  }

  /** In order of their names, those after `after`. Valid until the next entry is applied. */
  *apps(after = ""): Iterable<AppView> {
    const { position } = this;
    for (const app of this.#state.apps.after(after)) {
      assert(position === this.position, "apps are listed between two entries");
      yield viewOfApp(app);
    }
  }

  /** Of all apps together. */
  appTotals(): AppTotals {
    return totalsOfApps(this.#state.apps.all(), this.logTime);
  }

  /** Retention must leave records of this stream from here on: a task needs them; infinite: it may take what it asks for. */
  retainedFrom(stream: StreamName): Offset {
    return neededIn(this.#state, stream) ?? Number.POSITIVE_INFINITY;
  }

  /** Whether there are records that are dead and not yet in a dead-letter stream. */
  get hasDeadRecords(): boolean {
    return this.#state.groups.hasDead;
  }

  /**
   * At most `perStreamMax` of one queue and stream, in order of streams and offsets; of each from the offset on that
   * `startOf` says.
   */
  deadRecords(
    perStreamMax: number,
    startOf: (group: string, streamId: number) => Offset = () => 0,
  ): readonly DeadRecord[] {
    return this.#state.groups
      .withDead()
      .flatMap((queue) => deadIn(queue, startOf(queue.group.id, queue.stream.id), perStreamMax));
  }

  /** Log time of what is due next: an expiry, the end of a lease, a retry, a task. */
  nextDeadline(): number | undefined {
    return nextDeadline(this.#state);
  }

  /** About how many rows `drainChanges` would bring. */
  get changedRows(): number {
    return this.#state.ledger.changed;
  }

  /** The rows that changed since the last call: deletions first, each to be done in this order. */
  drainChanges(): RowChange[] {
    return this.#state.ledger.drain();
  }

  /** All rows in order of their keys: the snapshot. Valid until the next entry is applied. */
  *rows(): Iterable<Row> {
    const { position } = this;
    for (const owner of this.#owners()) {
      assert(position === this.position, "rows are walked between two entries");
      yield [owner.rowKey(), owner.rowValue()];
    }
  }

  /** Over all rows, mod 2^64, whatever their order: what nodes compare. */
  digest(): bigint {
    return this.#state.ledger.digest();
  }

  #view(stream: Stream | undefined): StreamView | undefined {
    return stream && this.#isThere(stream) ? viewOfStream(stream, this.logTime) : undefined;
  }

  /** What no entry has had room to remove is gone all the same. */
  #isThere(stream: Stream): boolean {
    return stream.hasForks || !(stream.deleted || stream.isDue(this.logTime));
  }

  #subscriptionView(subscription: Subscription | undefined): SubscriptionView | undefined {
    return subscription && viewOfSubscription(subscription);
  }

  #canBeWoken(subscription: Subscription): boolean {
    const { delivery } = subscription.identity;
    if (delivery.kind === "webhook") return true;
    const wakeStream = this.stream(delivery.wakeStream);
    return wakeStream !== undefined && !wakeStream.deleted && !wakeStream.closed;
  }

  /** Family by family, each sorted by key. */
  *#owners(): Iterable<RowOwner> {
    const { position, streams, cursors, subscriptions, groups, configuration, members, featureLevel } = this.#state;
    const { formerDisks, apps } = this.#state;
    const sortedStreams = sortedById(streams.values());
    yield position;
    yield* sortedStreams;
    for (const { producers } of sortedStreams) yield* sortedByKey(producers?.values() ?? []);
    yield* sortedByKey(cursors.values());
    yield* sortedByKey(subscriptions.all());
    yield* sortedByKey(subscriptions.all().flatMap(({ explicit }) => [...explicit.values()]));
    for (const { links } of sortedStreams) yield* sortedByKey(links ?? []);
    yield* sortedByKey(groups.all());
    yield* sortedByKey(groups.all().flatMap(({ members }) => [...members.values()]));
    for (const { groupLinks } of sortedStreams) yield* sortedByKey(groupLinks ?? []);
    // Before one was applied there is no row of it.
    if (configuration.head.length > 0) yield configuration;
    yield* sortedByKey(members.values());
    if (featureLevel.level > 0) yield featureLevel;
    yield* sortedByKey(formerDisks.values());
    yield* sortedByKey(apps.all());
    yield* sortedByKey(apps.all().flatMap(({ tasks }) => [...tasks.values()]));
  }
}

/** Even before the first entry there is the row of the position. */
function emptyState(limits: StreamsLimits): State {
  const state = new State(limits);
  state.ledger.put(state.position);
  return state;
}

function sortedById(streams: Iterable<Stream>): readonly Stream[] {
  return [...streams].sort((a, b) => a.id - b.id);
}

function sortedByKey<T extends RowOwner>(owners: Iterable<T>): readonly T[] {
  const keyed = [...owners].map((owner) => ({ owner, key: owner.rowKey() }));
  return keyed.sort((a, b) => compareBytes(a.key, b.key)).map(({ owner }) => owner);
}

function run(state: State, step: Step, command: Command): CommandResult {
  switch (command.kind) {
    case "create":
      return createStream(state, step, command);
    case "append":
      return appendRecords(state, step, command);
    case "append-run":
      return appendRun(state, step, command);
    case "delete":
      return deleteStream(state, step, command);
    case "touch":
      return touchStreams(state, step, command);
    case "tick":
      return { kind: "done" };
    case "member-set":
      return setMember(state, command);
    case "member-remove":
      return removeMember(state, command);
    case "feature-level":
      return raiseFeatureLevel(state, command);
    case "settings":
      return changeSettings(state, step, command);
    case "trim":
      return trimStream(state, step, command);
    case "cursor":
      return setCursor(state, step, command);
    case "transaction":
      return runTransaction(state, step, command);
    case "subscription-create":
      return createSubscription(state, step, command);
    case "subscription-delete":
      return deleteSubscription(state, step, command);
    case "subscription-link":
      return linkStreams(state, step, command);
    case "subscription-unlink":
      return unlinkStream(state, step, command);
    case "subscription-wake":
      return wakeSubscription(state, step, command);
    case "subscription-claim":
      return claimSubscription(state, step, command);
    case "subscription-ack":
      return ackSubscription(state, step, command);
    case "subscription-release":
      return releaseSubscription(state, step, command);
    case "subscription-failed":
      return failSubscription(state, step, command);
    case "compact":
      return compactStream(state, step, command);
    case "group-create":
    case "group-delete":
    case "group-join":
    case "group-leave":
    case "group-heartbeat":
    case "group-ack":
    case "group-take":
    case "group-settle":
    case "group-reset":
    case "group-dead-letter":
      return runGroupCommand(state, step, command);
    case "app-put":
    case "app-state":
    case "app-reset":
    case "app-delete":
    case "task-commit":
    case "task-snapshot":
    case "task-trimmed":
    case "task-statement":
    case "task-trim":
      return runAppCommand(state, step, command);
    default:
      return unreachable(command);
  }
}
