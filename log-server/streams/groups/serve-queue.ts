/** Commands by which takers share a group's records: `group-take`, `group-settle`, `group-dead-letter`; and the end of leases. */
import { assert, unreachable } from "../../../src/lib/assert.ts";
import { utf8 } from "../../../src/lib/bytes.ts";
import { firstNotBefore } from "../../../src/lib/sorted.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { holdsJson } from "../../../src/record/record-json.ts";
import type { CommandResult, Rejection } from "../../../src/wire/command.ts";
import type {
  GroupDeadLetterCommand,
  GroupLease,
  GroupMode,
  GroupOutcome,
  GroupRefusal,
  GroupSettleCommand,
  GroupSettlement,
  GroupTakeCommand,
} from "../../../src/wire/group-command.ts";
import { batchRefusal, openFor } from "../append-records.ts";
import { writeRefusal } from "../apps/app-streams.ts";
import type { Group } from "./group.ts";
import type { GroupQueue } from "./group-queue.ts";
import { followed, invalidGroup, unknownGroup } from "./manage-group.ts";
import type { RecordRun, RecordState } from "./record-runs.ts";
import { reject, tooMany } from "../rejections.ts";
import { fenced, memberRefusal } from "./serve-partitions.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { growStream } from "../stream-lifecycle.ts";
import type { Stream } from "../stream.ts";

type QueueMode = Extract<GroupMode, { readonly kind: "queue" }>;

const LEASE_ENDED = "its lease ended";

export function takeRecords(state: State, step: Step, command: GroupTakeCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  if (group.config.mode.kind !== "queue") return invalidGroup("records are taken from a queue; others join");
  const { groupTakeMax } = state.limits;
  if (command.count < 1) return invalidGroup("a take is of one record at least");
  if (command.count > groupTakeMax) return tooMany("records of one take", groupTakeMax);
  const refusal = memberRefusal(state, command.member);
  if (refusal !== undefined) return refusal;

  const untilMs = later(step, group.config.leaseMs);
  const taking = new Taking(state, step, command, untilMs);
  const start = firstNotBefore(group.ready, ({ stream }) => stream.id <= group.turn);
  for (const queue of [...group.ready.slice(start), ...group.ready.slice(0, start)]) {
    if (taking.left === 0) break;
    // What no entry has had room to end is over all the same.
    if (queue.stream.isDue(step.logTime) || !taking.from(queue)) continue;
    group.turn = queue.stream.id;
    state.ledger.touch(group);
  }
  const { leases, generation } = taking;
  return { kind: "group-taken", generation, untilMs: leases.length === 0 ? 0 : untilMs, leases };
}

/** One take: what it has got so far. */
class Taking {
  readonly leases: GroupLease[] = [];
  generation = 0;
  left: number;
  readonly #state: State;
  readonly #step: Step;
  readonly #member: string;
  readonly #untilMs: number;

  constructor(state: State, step: Step, { count, member }: GroupTakeCommand, untilMs: number) {
    this.#state = state;
    this.#step = step;
    this.#member = member;
    this.#untilMs = untilMs;
    this.left = count;
  }

  /** Those whose rest is over, then those never given out. Whether there were any. */
  from(queue: GroupQueue): boolean {
    const before = this.left;
    if (queue.records.countOf("resting") > 0) {
      for (const { from, to, state } of queue.records.within(0, queue.next)) {
        if (this.left === 0) break;
        if (state.kind !== "resting" || state.dueMs > this.#step.logTime) continue;
        this.#lease(queue, from, Math.min(to, from + this.left), state.attempt + 1);
      }
    }
    const fresh = Math.min(this.left, freshIn(this.#state, queue));
    if (fresh > 0) {
      const from = queue.next;
      queue.next += fresh;
      this.#lease(queue, from, from + fresh, 1);
    }
    if (this.left === before) return false;
    this.#state.groups.refresh(queue, this.#step);
    return true;
  }

  #lease(queue: GroupQueue, from: Offset, to: Offset, attempt: number): void {
    if (this.generation === 0) this.generation = this.#state.position.drawGeneration();
    const [generation, untilMs, member] = [this.generation, this.#untilMs, this.#member];
    queue.records.set(from, to, { kind: "leased", attempt, generation, untilMs, member });
    this.left -= to - from;
    const { name: stream, incarnation } = queue.stream;
    const last = this.leases.at(-1);
    const follows = last?.stream === stream && last.offset + last.count === from && last.attempt === attempt;
    if (follows) this.leases[this.leases.length - 1] = { ...last, count: last.count + to - from };
    else this.leases.push({ stream, incarnation, offset: from, count: to - from, attempt });
  }
}

/** How many records a queue can give out for the first time. */
export function freshIn(state: State, queue: GroupQueue): number {
  const room = state.limits.groupOutstandingPerStreamMax - queue.records.count;
  return Math.max(0, Math.min(queue.stream.nextOffset - queue.next, room, state.groups.roomOf(queue.group)));
}

export function settleRecords(state: State, step: Step, command: GroupSettleCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  const { mode } = group.config;
  if (mode.kind !== "queue") return invalidGroup("records are settled in a queue; others acknowledge");
  const refusal = settlementsRefusal(state, command.settlements);
  if (refusal !== undefined) return refusal;
  const refused: GroupRefusal[] = [];
  const changed = new Set<GroupQueue>();
  command.settlements.forEach((settlement, item) => {
    const { offset, count, generation, outcome } = settlement;
    const link = followed(state, step, group, settlement);
    const isQueue = "kind" in link && link.kind === "queue";
    const runs = isQueue ? link.records.within(offset, offset + count) : [];
    let next = offset;
    for (const run of runs) {
      if (!isQueue || run.state.kind !== "leased" || run.state.generation !== generation) continue;
      if (run.from > next) refused.push({ item, offset: next, count: run.from - next });
      next = run.to;
      changed.add(link);
      settleRun(state, step, link, run, mode, outcome);
    }
    const end = offset + count;
    if (next < end) refused.push({ item, offset: next, count: end - next });
  });
  if (changed.size === 0) return fenced(group, "none of these leases is current");
  for (const queue of changed) state.groups.refresh(queue, step);
  return { kind: "group-settled", refused };
}

/** Leases that are over: what they were for is given out again, or is dead. */
export function endLeases(state: State, step: Step, queue: GroupQueue): void {
  const { mode } = queue.group.config;
  if (mode.kind !== "queue") return;
  queue.records.rewrite((run) =>
    run.state.kind === "leased" && run.state.untilMs <= step.logTime
      ? failed(state, queue, run, mode, step.logTime, LEASE_ENDED)
      : run.state,
  );
  state.groups.refresh(queue, step);
}

export function putDeadLetter(state: State, step: Step, command: GroupDeadLetterCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  const link = followed(state, step, group, command);
  const [run] = "kind" in link && link.kind === "queue" ? link.records.within(command.offset, command.offset + 1) : [];
  if ("code" in link || link.kind !== "queue" || run?.state.kind !== "dead") {
    return fenced(group, "the record is not dead");
  }
  if (run.state.generation !== command.generation) return fenced(group, "the record died in another lease");
  if (command.batch !== undefined) {
    const refusal = keepDeadLetter(state, step, group, link.stream, command);
    if (refusal !== undefined) return refusal;
    group.deadLettered += 1;
  } else {
    group.dropped += 1;
  }
  link.records.set(command.offset, command.offset + 1, undefined);
  state.ledger.touch(group);
  state.groups.refresh(link, step);
  return { kind: "done" };
}

function keepDeadLetter(
  state: State,
  step: Step,
  { deadLetter }: Group,
  source: Stream,
  { batch }: GroupDeadLetterCommand,
): Rejection | undefined {
  if (deadLetter === undefined) return invalidGroup("the group has no dead-letter stream");
  const stream = openFor(state, step, { stream: deadLetter });
  if ("kind" in stream) return stream;
  if (stream.closed) return reject("stream-closed", `the dead-letter stream "${deadLetter}" is closed`);
  // A stream of JSON holds nothing else; any other takes whatever there is.
  if (holdsJson(stream.contentType) && stream.contentType !== source.contentType) {
    return reject("content-type-mismatch", `the dead-letter stream's content type is ${stream.contentType}`);
  }
  const refusal = batchRefusal(batch, stream.nextOffset) ?? writeRefusal(state, step, deadLetter);
  if (refusal === undefined) growStream(state, step, stream, batch, false);
  return refusal;
}

function settleRun(
  state: State,
  step: Step,
  queue: GroupQueue,
  run: RecordRun,
  mode: QueueMode,
  outcome: GroupOutcome,
): void {
  switch (outcome.kind) {
    case "ack":
      return queue.records.set(run.from, run.to, undefined);
    case "nack": {
      const dueMs = later(step, outcome.delayMs ?? mode.retryDelayMs);
      return queue.records.set(run.from, run.to, failed(state, queue, run, mode, dueMs, outcome.reason ?? ""));
    }
    case "extend": {
      const untilMs = later(step, outcome.leaseMs ?? queue.group.config.leaseMs);
      if (run.state.kind === "leased") queue.records.set(run.from, run.to, { ...run.state, untilMs });
      return undefined;
    }
    case "release":
      return queue.records.set(run.from, run.to, released(run, step.logTime));
    default:
      return unreachable(outcome);
  }
}

/** As if this lease had not been: it may be had again at once, and has had the attempts that it had before. */
function released({ state: was }: RecordRun, dueMs: number): RecordState {
  assert(was.kind === "leased", "P39: only a lease comes to an end");
  return { kind: "resting", attempt: was.attempt - 1, dueMs };
}

/** An attempt has come to nothing: what the records are then. Undefined: they are dropped. */
function failed(
  state: State,
  queue: GroupQueue,
  { from, to, state: was }: RecordRun,
  { attemptsMax, deadLetter }: QueueMode,
  dueMs: number,
  reason: string,
): RecordState | undefined {
  assert(was.kind === "leased", "P39: only a lease comes to an end");
  const { attempt, generation } = was;
  if (attemptsMax === 0 || attempt < attemptsMax) return { kind: "resting", attempt, dueMs };
  if (deadLetter !== undefined) return { kind: "dead", attempt, generation, reason };
  queue.group.dropped += to - from;
  state.ledger.touch(queue.group);
  return undefined;
}

function settlementsRefusal(state: State, settlements: readonly GroupSettlement[]): Rejection | undefined {
  const { limits } = state;
  let records = 0;
  for (const { offset, count, outcome } of settlements) {
    if (count < 1) return invalidGroup("a settlement is of one record at least");
    if (count > limits.groupTakeMax) return tooMany("records of one settlement", limits.groupTakeMax);
    if (!Number.isSafeInteger(offset + count)) return reject("malformed-offset", "there is no such offset");
    records += count;
    if (records > limits.groupSettleMax) return tooMany("records settled by one command", limits.groupSettleMax);
    const refusal = outcomeRefusal(state, outcome);
    if (refusal !== undefined) return refusal;
  }
  return records === 0 ? invalidGroup("there is nothing to settle") : undefined;
}

function outcomeRefusal({ limits }: State, outcome: GroupOutcome): Rejection | undefined {
  switch (outcome.kind) {
    case "ack":
    case "release":
      return undefined;
    case "nack":
      if ((outcome.delayMs ?? 0) > limits.groupDelayMsMax)
        return invalidGroup(`a record rests at most ${limits.groupDelayMsMax} ms`);
      if (utf8(outcome.reason ?? "").length > limits.groupReasonBytesMax)
        return invalidGroup(`a reason has at most ${limits.groupReasonBytesMax} bytes`);
      return undefined;
    case "extend": {
      const { groupLeaseMsMin: min, groupLeaseMsMax: max } = limits;
      const leaseMs = outcome.leaseMs ?? min;
      return leaseMs >= min && leaseMs <= max ? undefined : invalidGroup(`a lease is between ${min} and ${max} ms`);
    }
    default:
      return unreachable(outcome);
  }
}

function later(step: Step, milliseconds: number): number {
  return Math.min(step.logTime + milliseconds, Number.MAX_SAFE_INTEGER);
}
