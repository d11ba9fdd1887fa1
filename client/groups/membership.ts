/**
 * Being a member of a group that shares streams: an async iterator over the records of those that are this member's now.
 * It stays a member by heartbeats of its own, and goes on by itself when the connection or the server was gone.
 *
 * Records are delivered at least once: what was not committed is delivered again to whoever owns the stream next. Nothing
 * is delivered while it is not sure that this member's session lasts; commits of a stream that was lost are `fenced`.
 */
import type { Timer } from "../../src/ports/clock.ts";
import type { GroupAck, GroupAssignedResult, GroupAssignment } from "../../src/wire/group-command.ts";
import type { Connection, PersistentCall } from "../connection.ts";
import { Deadline } from "../deadline.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import { GatheredCalls } from "../gathered-calls.ts";
import type { GroupRecord } from "./group-record.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { PartitionReader } from "./partition-reader.ts";
import type { ReadStatus, RecordStream } from "../reading/record-stream.ts";
import { StatusTeller } from "./status-teller.ts";

/** A stream that is a member's, from this offset on. */
export type AssignedStream = Pick<GroupAssignment, "stream" | "committed" | "generation">;

/** A complete configuration; `group.ts` fills it from what the caller gave. */
export type MembershipConfig = {
  readonly group: string;
  readonly member: string;
  /** Nobody else has this name: who lost the session may begin another. */
  readonly ownName: boolean;
  readonly autoAck: boolean;
  readonly ackEveryMs: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly onAssigned: ((streams: readonly AssignedStream[]) => void) | undefined;
  readonly onRevoked: ((streams: readonly AssignedStream[]) => void) | undefined;
  readonly onStatus: ((status: ReadStatus) => void) | undefined;
  /** Reads a stream from an offset on, for ever; the streams' number is how many share the prefetch. */
  readonly read: (assignment: GroupAssignment, streams: number) => RecordStream;
};

type Commit = { readonly partition: PartitionReader; readonly offset: number };

const DONE = { done: true, value: undefined } as const;

function ignore(): void {}

export class Membership implements AsyncIterableIterator<GroupRecord, undefined> {
  readonly #connection: Connection;
  readonly #config: MembershipConfig;
  readonly #deadline: Deadline;
  readonly #status: StatusTeller;
  readonly #commits: GatheredCalls<Commit>;
  readonly #partitions = new Map<string, PartitionReader>();
  /** Those that have records, in turn. */
  readonly #ready: PartitionReader[] = [];
  #session = 0;
  #leaseMs = 0;
  /** Until then the session surely lasts, by the monotonic clock. */
  #sureUntilMs = 0;
  #heartbeat: Timer | undefined;
  #renewing: Promise<void> | undefined;
  #committing: Timer | undefined;
  #last: GroupRecord | undefined;
  #failure: TidemarkError | undefined;
  #wake: (() => void) | undefined;
  /** Calls of `next` in their order. */
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(connection: Connection, config: MembershipConfig) {
    const { clock } = connection.environment;
    this.#connection = connection;
    this.#config = config;
    this.#deadline = new Deadline(clock, config.signal, Number.POSITIVE_INFINITY);
    this.#status = new StatusTeller(config.onStatus);
    this.#commits = new GatheredCalls(clock, (items) => this.#sendCommits(items), {
      togetherMax: CLIENT_LIMITS.settledPerCommandMax,
      waitingMax: CLIENT_LIMITS.settlementsWaitingMax,
    });
    this.#failure = this.#deadline.error;
    this.#deadline.signal.addEventListener("abort", () => {
      this.#fail(this.#deadline.error ?? new TidemarkError("aborted"));
    });
  }

  static async join(connection: Connection, config: MembershipConfig): Promise<Membership> {
    const membership = new Membership(connection, config);
    if (membership.#failure !== undefined) throw membership.#failure;
    try {
      await membership.#join(connection.timeoutMs);
    } catch (error) {
      membership.#fail(asTidemarkError(error));
      throw error;
    }
    membership.#planHeartbeat();
    return membership;
  }

  /** What this member is called. */
  get name(): string {
    return this.#config.member;
  }

  /** The streams that are this member's now. */
  get streams(): readonly string[] {
    return [...this.#partitions.keys()].sort();
  }

  next(): Promise<IteratorResult<GroupRecord, undefined>> {
    const taken = this.#turn.then(() => this.#next());
    this.#turn = taken.catch(ignore);
    return taken;
  }

  /**
   * The record, and all before it in its stream, are processed: resolves once that is committed. `fenced`: the stream is
   * another's by now, which processes the record again.
   */
  async ack(record: GroupRecord): Promise<void> {
    const partition = this.#partitions.get(record.stream);
    if (partition?.generation !== record.generation) throw fenced(record.stream);
    partition.processed = Math.max(partition.processed, record.offset + 1);
    await this.#commit(partition);
  }

  /** Commits now what is processed, instead of within `ackEveryMs`. */
  async commit(): Promise<void> {
    this.#committing?.cancel();
    this.#committing = undefined;
    const behind = [...this.#partitions.values()].filter(({ processed, committed }) => processed > committed);
    await Promise.all(behind.map((partition) => this.#commit(partition)));
  }

  /**
   * Commits what is processed, and leaves: the streams go to the other members at once. A record whose turn in a loop did
   * not end is not processed. Without a server it only ends here, and the session ends by itself.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async return(): Promise<IteratorResult<GroupRecord, undefined>> {
    await this.close();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #next(): Promise<IteratorResult<GroupRecord, undefined>> {
    this.#settleLast();
    for (;;) {
      if (this.#closing !== undefined) return DONE;
      if (this.#failure !== undefined) throw this.#failure;
      const record = this.#isSure() ? this.#takeReady() : undefined;
      if (record !== undefined) {
        this.#last = record;
        return { done: false, value: record };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #isSure(): boolean {
    return this.#connection.environment.clock.monotonic() < this.#sureUntilMs;
  }

  #takeReady(): GroupRecord | undefined {
    for (;;) {
      const [partition] = this.#ready;
      if (partition === undefined) return undefined;
      const record = partition.take();
      // It is back in the line once it has more.
      if (!partition.hasRecords) this.#ready.shift();
      if (record !== undefined) return record;
    }
  }

  /** The loop has come back: it is done with what it had. */
  #settleLast(): void {
    const record = this.#last;
    this.#last = undefined;
    if (record === undefined || !this.#config.autoAck) return;
    const partition = this.#partitions.get(record.stream);
    if (partition?.generation !== record.generation) return;
    partition.processed = Math.max(partition.processed, record.offset + 1);
    this.#committing ??= this.#connection.environment.clock.schedule(this.#config.ackEveryMs, () => {
      // What fails is tried again with what comes after it, or is not the member's any more.
      this.commit().catch(ignore);
    });
  }

  async #commit(partition: PartitionReader): Promise<void> {
    const offset = partition.processed;
    if (offset > partition.committed) await this.#commits.add({ partition, offset });
  }

  async #sendCommits(items: readonly Commit[]): Promise<readonly (TidemarkError | undefined)[]> {
    const targets = new Map<PartitionReader, number>();
    for (const { partition, offset } of items) targets.set(partition, Math.max(offset, targets.get(partition) ?? 0));
    const behind = [...targets].filter(([partition, offset]) => offset > partition.committed);
    if (behind.length > 0) await this.#sendAcks(behind);
    return items.map(({ partition, offset }) => (partition.committed >= offset ? undefined : fenced(partition.stream)));
  }

  async #sendAcks(behind: readonly (readonly [PartitionReader, number])[]): Promise<void> {
    const acks = behind.map(([{ stream, incarnation, generation }, offset]): GroupAck => ({
      stream,
      incarnation,
      generation,
      offset,
    }));
    const { group: id, member } = this.#config;
    const attempt = this.#attempt(undefined, this.#connection.timeoutMs);
    try {
      const result = await this.#connection.execute(
        { kind: "group-ack", id, member, session: this.#session, acks },
        attempt.call,
      );
      if (result.kind !== "group-settled")
        throw new TidemarkError("protocol-error", `an acknowledgement was answered with "${result.kind}"`);
      this.#renewed(attempt.sentAtMs());
      const refused = new Set(result.refused.map(({ item }) => item));
      for (const [item, [partition, offset]] of behind.entries()) {
        if (refused.has(item)) this.#lose([partition]);
        else partition.committed = Math.max(partition.committed, offset);
      }
      if (refused.size > 0) void this.#renew();
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      // Of the session, or of all these streams: a heartbeat tells.
      if (error.code === "fenced") void this.#renew();
      throw error;
    }
  }

  async #join(timeoutMs: number): Promise<void> {
    const { group: id, member } = this.#config;
    const attempt = this.#attempt(this.#deadline, timeoutMs);
    const result = await this.#connection.execute({ kind: "group-join", id, member }, attempt.call);
    this.#assign(asAssigned(result), attempt.sentAtMs());
  }

  #planHeartbeat(): void {
    if (this.#failure !== undefined || this.#closing !== undefined) return;
    const everyMs = Math.min(this.#leaseMs / CLIENT_LIMITS.heartbeatsPerLease, CLIENT_LIMITS.heartbeatEveryMsMax);
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#connection.environment.clock.schedule(everyMs, () => void this.#renew());
  }

  /** A heartbeat, to its end; then the next is planned. */
  #renew(): Promise<void> {
    if (this.#failure !== undefined || this.#closing !== undefined) return Promise.resolve();
    this.#heartbeat?.cancel();
    this.#renewing ??= this.#beat()
      .catch((thrown: unknown) => this.#fail(asTidemarkError(thrown)))
      .finally(() => {
        this.#renewing = undefined;
        this.#planHeartbeat();
      });
    return this.#renewing;
  }

  async #beat(): Promise<void> {
    const { group: id, member, timeoutMs } = this.#config;
    const attempt = this.#attempt(this.#deadline, timeoutMs);
    try {
      const result = await this.#connection.execute(
        { kind: "group-heartbeat", id, member, session: this.#session },
        attempt.call,
      );
      this.#assign(asAssigned(result), attempt.sentAtMs());
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (error.code !== "fenced" || this.#failure !== undefined) throw error;
      this.#lose([...this.#partitions.values()]);
      // Whoever took the name is left alone: two of one name would end each other's sessions for ever.
      if (!this.#config.ownName && (await this.#isTaken())) throw error;
      await this.#join(timeoutMs);
    }
  }

  async #isTaken(): Promise<boolean> {
    const { group: id, member, timeoutMs } = this.#config;
    const { call } = this.#attempt(this.#deadline, timeoutMs);
    const { members } = await this.#connection.lookUp({ kind: "group", id, waitMs: 0, brief: false }, call);
    return members.some(({ name, session }) => name === member && session !== this.#session);
  }

  #assign({ session, leaseMs, assignments }: GroupAssignedResult, sentAtMs: number): void {
    this.#session = session;
    this.#leaseMs = leaseMs;
    this.#renewed(sentAtMs);
    const now = new Map(assignments.map((assignment) => [assignment.stream, assignment]));
    this.#lose([...this.#partitions.values()].filter((partition) => !isSame(partition, now.get(partition.stream))));
    const gained = assignments.filter(({ stream }) => !this.#partitions.has(stream));
    for (const assignment of gained) {
      const reader = this.#config.read(assignment, assignments.length);
      this.#partitions.set(assignment.stream, new PartitionReader(assignment, reader, this.#onPartition));
    }
    if (gained.length > 0) this.#config.onAssigned?.(gained.map(shown));
  }

  /** They are another's by now, whatever happens here. */
  #lose(lost: readonly PartitionReader[]): void {
    const current = lost.filter((partition) => this.#partitions.get(partition.stream) === partition);
    for (const partition of current) {
      partition.close();
      this.#partitions.delete(partition.stream);
      const at = this.#ready.indexOf(partition);
      if (at >= 0) this.#ready.splice(at, 1);
    }
    if (current.length > 0) this.#config.onRevoked?.(current.map(shown));
  }

  readonly #onPartition = (partition: PartitionReader, error: TidemarkError | undefined): void => {
    if (error !== undefined) {
      this.#fail(error);
      return;
    }
    this.#ready.push(partition);
    this.#wake?.();
  };

  #renewed(sentAtMs: number): void {
    this.#status.connected();
    this.#sureUntilMs = Math.max(this.#sureUntilMs, sentAtMs + this.#leaseMs);
    this.#wake?.();
  }

  /** A call that notes when its last attempt began, at the latest: from then on a session lasts that it renews. */
  #attempt(deadline: Deadline | undefined, timeoutMs: number): { readonly call: PersistentCall; sentAtMs(): number } {
    const { clock } = this.#connection.environment;
    let sentAtMs = clock.monotonic();
    return {
      call: {
        signal: deadline?.signal,
        timeout: timeoutMs,
        onRetry: (error) => {
          sentAtMs = clock.monotonic();
          this.#status.failed(error);
        },
      },
      sentAtMs: () => sentAtMs,
    };
  }

  #fail(error: TidemarkError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#deadline.cancel(error);
    this.#heartbeat?.cancel();
    this.#committing?.cancel();
    for (const partition of this.#partitions.values()) partition.close();
    this.#ready.length = 0;
    this.#wake?.();
  }

  async #close(): Promise<void> {
    this.#deadline.cancel(new TidemarkError("aborted", "the membership was closed"));
    const patience = new Deadline(this.#connection.environment.clock, undefined, CLIENT_LIMITS.groupCloseMs);
    await Promise.race([
      this.#bidFarewell(patience),
      new Promise<void>((resolve) => patience.signal.addEventListener("abort", resolve)),
    ]);
    patience.release();
  }

  /** As well as it goes: what cannot be told now is found out when the session ends by itself. */
  async #bidFarewell({ signal }: Deadline): Promise<void> {
    const behind = [...this.#partitions.values()].filter(({ processed, committed }) => processed > committed);
    await Promise.allSettled(behind.map((partition) => this.#commits.add({ partition, offset: partition.processed })));
    const { group: id, member } = this.#config;
    await this.#connection
      .execute({ kind: "group-leave", id, member, session: this.#session }, { signal })
      .catch(ignore);
  }
}

function asAssigned(result: { readonly kind: string } | GroupAssignedResult): GroupAssignedResult {
  if (result.kind === "group-assigned" && "assignments" in result) return result;
  throw new TidemarkError("protocol-error", `a member was answered with "${result.kind}"`);
}

function isSame(partition: PartitionReader, assignment: GroupAssignment | undefined): boolean {
  return assignment?.generation === partition.generation && assignment.incarnation === partition.incarnation;
}

function shown({ stream, committed, generation }: AssignedStream): AssignedStream {
  return { stream, committed, generation };
}

function fenced(stream: string): TidemarkError {
  return new TidemarkError("fenced", `the stream "${stream}" is not this member's any more`);
}
