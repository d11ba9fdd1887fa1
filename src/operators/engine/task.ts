/**
 * One task: a stage of a topology on one partition of its inputs. It is pushed, synchronously: a record (`process`), or the
 * news that log time has passed without one (`advance`). What comes of it gathers until it is taken (`take`), and moves the
 * rows, the cursor and the outputs together (I12). Where batches, advances and takes fall is invisible in all of these.
 *
 * What one record brings about, in this order:
 *   1. what fell due before it in log time, by time: log timers, sources becoming idle (and event timers thereby), digests;
 *   2. the record, through the graph depth first, in order of building;
 *   3. the watermark, and then the event timers that are due by it, by (time, node, key, name), those included that timers set.
 * All of it or, if anything throws, nothing.
 */
import { assert, InvariantError } from "../../lib/assert.ts";
import { hex } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import { RECORD_LIMITS } from "../../record/limits.ts";
import type { RecordPlace } from "../../record/record-place.ts";
import { recordBytes, sizeFault } from "../../record/record-size.ts";
import type { RowChange } from "../../record/row.ts";
import type { TaskPlace } from "../../record/task-place.ts";
import type { Key } from "../encoding/key-codec.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { NodeRows } from "../state/node-rows.ts";
import type { RowCapture } from "../state/row-capture.ts";
import type { TimerKind } from "../state/row-keys.ts";
import { Rows } from "../state/rows.ts";
import type { StateStore } from "../state/state-store.ts";
import { type DueTimer, Timers } from "../state/timers.ts";
import type { RowTotals } from "../state/totals.ts";
import type { GraphNode, Stage } from "./graph.ts";
import { guarded, nameRunning } from "./guards.ts";
import type { Item } from "./item.ts";
import { type Host, NodeContext, type Origin } from "./node-context.ts";
import type { Counter, Reading } from "./operator.ts";
import { chained } from "./output-chain.ts";
import { type Counters, type NextOffsets, Progress } from "./progress.ts";
import type { Poison, TaskInput, TaskOutput } from "./task-input.ts";
import { Watermarks } from "./watermarks.ts";

/** What was done since the last take. */
export type TaskBatch = {
  readonly from: TaskPlace;
  readonly to: TaskPlace;
  readonly outputs: readonly TaskOutput[];
  /** By output: the chain with it. */
  readonly chains: readonly bigint[];
  /** Where the outputs may be parted: behind those of one record or one timer. The last is behind all. */
  readonly cuts: readonly TaskPlace[];
  readonly digests: readonly DigestPoint[];
  /** Made as asked for, one at most. */
  readonly captures: readonly TaskCapture[];
  /** Log time at which something falls due even if no record comes; undefined: nothing does. */
  readonly nextDue: number | undefined;
};

/** A task as it was at a digest point: what a snapshot is made of. */
export type TaskCapture = {
  readonly point: DigestPoint;
  readonly place: TaskPlace;
  readonly nextOffsets: NextOffsets;
  /** What the rows' changes are counted from: a place that is behind this point, or is it; undefined: they are not known. */
  readonly since: DigestPoint | undefined;
  readonly rows: RowCapture;
};

/** What gathers until it is taken. */
type Done = {
  readonly outputs: TaskOutput[];
  readonly chains: bigint[];
  readonly cuts: TaskPlace[];
  readonly digests: DigestPoint[];
  readonly captures: TaskCapture[];
};

type Reader = { readonly node: RunningNode; readonly input: number };
type RunningNode = {
  readonly node: GraphNode;
  readonly context: NodeContext;
  /** By output. */
  readonly readers: Reader[][];
};

const NO_ORIGIN: Origin = { parts: [], logTime: -Infinity };

/** What one record or one timer brought about beyond all bounds. */
class TooMuch extends Error {}

export class Task {
  readonly stage: Stage;
  readonly partition: number;
  readonly #rows: Rows;
  readonly #timers: Timers;
  readonly #progress: Progress;
  readonly #nodes: ReadonlyMap<string, RunningNode>;
  readonly #sources: ReadonlyMap<string, RunningNode>;
  readonly #host: Host;
  #origin: Origin = NO_ORIGIN;
  #clock: number;
  #from: TaskPlace;
  #inputs = 0;
  #done: Done = nothingDone();
  /** Of the input at hand. */
  #timersFired = 0;
  /** Of the record, or the timer, at hand. */
  readonly #sent = { outputs: 0, bytes: 0, streams: new Set<string>() };
  /** By row, in hexadecimal: timers that were poison, and what goes out in their place. */
  readonly #replaced = new Map<string, TaskOutput>();
  /** Where an error would come from. */
  #running = "";
  #firing: DueTimer | undefined;
  #captureWanted = false;
  #changesSince: DigestPoint | undefined;

  /** Goes on where the rows in the store are. `totals`: of those rows, if they are known. */
  constructor(stage: Stage, partition: number, store: StateStore, totals?: RowTotals) {
    assert(partition < stage.partitions, "a task is of one of its stage's partitions");
    this.stage = stage;
    this.partition = partition;
    this.#rows = new Rows(store, totals);
    this.#timers = new Timers(this.#rows);
    const sources = stage.nodes.flatMap(({ source }) => (source === undefined ? [] : [source]));
    this.#progress = new Progress(new Watermarks(sources, stage.silence));
    this.#progress.read(this.#rows);
    this.#host = this.#makeHost();
    this.#nodes = this.#wire(stage.nodes);
    this.#sources = new Map(
      [...this.#nodes.values()].flatMap((running) =>
        running.node.source === undefined ? [] : [[running.node.source.name, running] as const],
      ),
    );
    this.#clock = this.#progress.watermarks.reached;
    this.#from = this.#progress.place;
  }

  /** The last record taken in, and how many outputs there were by then. */
  get place(): TaskPlace {
    return this.#progress.place;
  }

  /** Over all outputs so far. */
  get chain(): bigint {
    return this.#progress.chain;
  }

  /** Inputs and outputs that were not taken yet. */
  get untaken(): number {
    return this.#inputs + this.#done.outputs.length;
  }

  /** Log time at which something falls due even if no record comes; undefined: nothing does. */
  get nextDue(): number | undefined {
    return finite(this.#nextDue());
  }

  /** The last record taken in. */
  get cursor(): RecordPlace {
    return this.#progress.cursor;
  }

  /** Of each source, what it reads next. */
  get nextOffsets(): NextOffsets {
    return this.#progress.nextOffsets;
  }

  /** Taken in since the task's beginning. */
  get records(): number {
    return this.#progress.records;
  }

  /** Of the last thing that happened, record or timer; -Infinity before the first. */
  get logTime(): number {
    return this.#progress.logTime;
  }

  get watermark(): number {
    return this.#progress.watermarks.reached;
  }

  /** As of now, which is no digest point: for whoever compares two tasks that were given the same. */
  digest(): DigestPoint {
    this.#progress.write(this.#rows);
    const { records, logTime, chain } = this.#progress;
    return { records, logTime, state: this.#rows.digest, outputs: chain };
  }

  get counters(): Counters {
    return this.#progress.counters;
  }

  /** How much state there is. */
  get totals(): RowTotals {
    return this.#rows.totals;
  }

  process(input: TaskInput): Result<void, Poison> {
    return this.#attempt(() => this.#take(input, true), input);
  }

  /** Takes a record in, without its going anywhere: it was poison. `instead`: what goes out in its place. */
  passOver(input: TaskInput, instead?: TaskOutput): Result<void, Poison> {
    return this.#attempt(() => this.#take(input, false, instead), input);
  }

  /**
   * A timer was poison: when its time comes in what is tried again now, this goes out, and it does not fire. Until then it
   * stays where it is, for replicas that were told of time in other steps have digested it there.
   */
  replaceTimer(row: Uint8Array, instead: TaskOutput): void {
    this.#replaced.set(hex(row), instead);
  }

  /** There is no record before this log time, which may be one that a record still has. */
  advance(logTime: number): Result<void, Poison> {
    return this.#attempt(() => this.#runUntil(logTime), undefined);
  }

  /** What `take` would have stored, in key order: rows that differ from the last take. */
  changes(): RowChange[] {
    this.#progress.write(this.#rows);
    return this.#rows.changes();
  }

  /** From now on captures know what has changed. */
  trackChanges(): void {
    this.#changesSince = this.digest();
    this.#rows.track();
  }

  /** The next digest point is captured, and comes with what is taken then. Not while an earlier one is unsettled. */
  requestCapture(): void {
    assert(!this.#rows.captured, "I15: there is one capture at a time");
    this.#captureWanted = true;
  }

  /** Nobody reads it any more. `used`: it became a snapshot, and the next one is about what changed since. */
  settle({ rows, point }: TaskCapture, used: boolean): void {
    this.#rows.settle(rows, used);
    if (used) this.#changesSince = point;
    else if (rows.changed === undefined) this.#changesSince = undefined;
  }

  /** Hands over what was done. There is no way back behind it. */
  take(): TaskBatch {
    this.#progress.write(this.#rows);
    this.#rows.commit();
    const batch = { from: this.#from, to: this.#progress.place, ...this.#done, nextDue: this.nextDue };
    this.#from = batch.to;
    this.#inputs = 0;
    this.#done = nothingDone();
    return batch;
  }

  /** Forgets all that was done since the last take. */
  rollback(): void {
    this.#undo(0);
    this.#progress.read(this.#rows);
    this.#clock = this.#progress.watermarks.reached;
    this.#inputs = 0;
    this.#uncapture(0);
    this.#done = nothingDone();
  }

  #attempt(run: () => void, input: TaskInput | undefined): Result<void, Poison> {
    const mark = this.#rows.mark();
    const saved = this.#progress.save();
    const { outputs, chains, cuts, digests, captures } = this.#done;
    const capturesBefore = captures.length;
    const before = [outputs.length, cuts.length, digests.length] as const;
    this.#timersFired = 0;
    const named = nameRunning("");
    try {
      guarded(run);
      this.#replaced.clear();
      return ok(undefined);
    } catch (error) {
      // Whoever drives a task whose own rules are broken must not go on with it.
      if (error instanceof InvariantError) throw error;
      this.#undo(mark);
      this.#progress.restore(saved);
      this.#clock = this.#progress.watermarks.reached;
      [outputs.length, cuts.length, digests.length] = before;
      chains.length = outputs.length;
      this.#uncapture(capturesBefore);
      return err({ operator: this.#running, error, at: this.#poisoned(input) });
    } finally {
      this.#firing = undefined;
      nameRunning(named);
    }
  }

  #poisoned(input: TaskInput | undefined): Poison["at"] {
    if (this.#firing !== undefined) return { kind: "timer", row: this.#firing.row };
    assert(input !== undefined, "without a record only a timer runs a callback");
    return { kind: "record", source: input.source, offset: input.offset };
  }

  /** They were of a place that is undone, and may come out otherwise. */
  #uncapture(kept: number): void {
    for (const capture of this.#done.captures.splice(kept)) {
      this.settle(capture, false);
      this.#captureWanted = true;
    }
  }

  #undo(mark: number): void {
    this.#rows.rollback(mark);
    this.#timers.forget();
  }

  #take(input: TaskInput, goesOn: boolean, instead?: TaskOutput): void {
    const { place, logTime, source } = input;
    const watermarks = this.#progress.watermarks;
    const running = this.#sources.get(source);
    assert(running !== undefined, `a record comes from one of the task's sources, not "${source}"`);
    assert(this.#inputs < OPERATOR_LIMITS.inputsPerBatchMax, "I15: what was done is taken before it is too much");
    this.#runUntil(logTime);
    if (this.#progress.records === 0) watermarks.begin(logTime);
    // What silence carried it to, before this log time.
    else watermarks.pass(logTime - 1);
    const records = this.#progress.record(input);
    this.#inputs += 1;
    this.#origin = { parts: [place.position, place.ordinal, place.index], logTime };
    this.#clock = watermarks.reached;
    this.#begin();
    const reading = this.#read(running, input, goesOn);
    if (goesOn && reading.item !== undefined) this.#run({ node: running, input: 0 }, reading.item);
    if (instead !== undefined) this.#send(instead);
    this.#cut();
    watermarks.observe(source, reading.lane, logTime, reading.eventTime);
    this.#fireEventTimers();
    if (records % OPERATOR_LIMITS.digestEveryRecords === 0) this.#digest(logTime);
  }

  /** What is passed over still tells, if it can be read at all, how far event time has come. */
  #read(running: RunningNode, input: TaskInput, goesOn: boolean): Reading {
    const { id, source } = running.node;
    this.#name(id);
    assert(source !== undefined, "a record comes in at a source");
    try {
      const reading = source.read(input);
      // A mark of a repartition is nothing that was skipped.
      if (reading.item === undefined && !source.internal) this.#progress.count("skipped");
      return reading;
    } catch (error) {
      if (goesOn) throw error;
      return { lane: 0 };
    }
  }

  /** All that falls due before `logTime`; a digest point there is before what falls due at the same time. */
  #runUntil(logTime: number): void {
    for (;;) {
      const due = this.#nextDue();
      const boundary = this.#nextBoundary();
      if (boundary <= Math.min(logTime, due)) this.#digest(boundary);
      else if (due < logTime) this.#fallDue(due);
      else return;
    }
  }

  #fallDue(due: number): void {
    const watermarks = this.#progress.watermarks;
    this.#progress.elapse(due);
    if (this.#timers.earliest("log") <= this.#progress.logTime) {
      this.#fire("log", this.#timers.first("log") as DueTimer);
    } else {
      watermarks.pass(due);
      this.#fireEventTimers();
    }
  }

  /** In log time, never before what happened already. */
  #nextDue(): number {
    if (this.#progress.records === 0) return Infinity;
    const change = this.#progress.watermarks.nextChange(this.#timers.earliest("event"));
    return Math.max(this.#progress.logTime, Math.min(this.#timers.earliest("log"), change));
  }

  #nextBoundary(): number {
    const { undigested, logTime } = this.#progress;
    const every = OPERATOR_LIMITS.digestEveryMs;
    return undigested ? (Math.floor(logTime / every) + 1) * every : Infinity;
  }

  #digest(logTime: number): void {
    this.#progress.digested(logTime);
    const point = this.digest();
    this.#done.digests.push(point);
    if (!this.#captureWanted) return;
    this.#captureWanted = false;
    const since = this.#changesSince;
    const { place, nextOffsets } = this.#progress;
    this.#done.captures.push({ point, place, nextOffsets, since, rows: this.#rows.capture() });
  }

  #fireEventTimers(): void {
    const watermark = this.#progress.watermarks.reached;
    while (this.#timers.earliest("event") <= watermark) {
      const timer = this.#timers.first("event") as DueTimer;
      // What a timer sees is no later than itself: the others are yet to come.
      this.#clock = Math.max(this.#clock, timer.due);
      this.#fire("event", timer);
    }
    this.#clock = watermark;
  }

  #fire(kind: TimerKind, timer: DueTimer): void {
    this.#timersFired += 1;
    const { timersPerInputMax } = OPERATOR_LIMITS;
    this.#firing = timer;
    this.#timers.remove(kind, timer.row);
    this.#begin();
    const running = this.#nodes.get(timer.node);
    const instead = this.#replaced.size === 0 ? undefined : this.#replaced.get(hex(timer.row));
    if (instead !== undefined) this.#send(instead);
    // A topology that lost a node leaves its timers behind.
    else if (running?.node.operator.onTimer !== undefined) {
      const { node, context } = running;
      this.#name(node.id);
      if (this.#timersFired > timersPerInputMax) throw new TooMuch(`more than ${timersPerInputMax} timers at once`);
      const { key, name } = timer;
      const due = context.ownTime(kind, timer.due);
      this.#origin = { parts: [kind, timer.due, node.id, key, name], logTime: this.#progress.logTime };
      context.enter(due, key);
      node.operator.onTimer?.({ kind, due, key, name }, context);
    }
    this.#cut();
    this.#firing = undefined;
  }

  #run({ node: { node, context }, input }: Reader, item: Item): void {
    const before = this.#name(node.id);
    context.enter(item.timestamp, item.key);
    node.operator.process(item, context, input);
    this.#name(before);
  }

  #name(operator: string): string {
    const before = this.#running;
    this.#running = operator;
    nameRunning(operator);
    return before;
  }

  /** A record, or a timer, is run. */
  #begin(): void {
    this.#sent.outputs = 0;
    this.#sent.bytes = 0;
    this.#sent.streams.clear();
  }

  /** It was run. */
  #cut(): void {
    if (this.#sent.outputs > 0) this.#done.cuts.push(this.#progress.place);
  }

  #send(output: TaskOutput): void {
    this.#count(output);
    const { outputs, chains } = this.#done;
    assert(outputs.length < OPERATOR_LIMITS.outputsPerBatchMax, "I15: what was done is taken before it is too much");
    outputs.push(output);
    this.#progress.output(chained(this.#progress.chain, output));
    chains.push(this.#progress.chain);
  }

  /** They go out in one transaction, which takes no more. */
  #count(output: TaskOutput): void {
    const { outputsPerCallMax, outputBytesPerCallMax, outputStreamsPerCallMax } = OPERATOR_LIMITS;
    const bytes = recordBytes(output);
    const fault = sizeFault(bytes, output.headers?.length ?? 0, RECORD_LIMITS.recordBytesMax);
    if (fault !== undefined) throw new TooMuch(fault);
    const sent = this.#sent;
    sent.outputs += 1;
    sent.bytes += bytes;
    sent.streams.add(output.stream);
    const of = this.#firing === undefined ? "one record" : "one timer";
    if (sent.outputs > outputsPerCallMax) throw new TooMuch(`more than ${outputsPerCallMax} outputs of ${of}`);
    if (sent.bytes > outputBytesPerCallMax)
      throw new TooMuch(`outputs of ${of} with more than ${outputBytesPerCallMax} bytes`);
    if (sent.streams.size > outputStreamsPerCallMax)
      throw new TooMuch(`outputs of ${of} to more than ${outputStreamsPerCallMax} streams`);
  }

  #makeHost(): Host {
    const origin = (): Origin => this.#origin;
    const clock = (): number => this.#clock;
    return {
      partition: this.partition,
      get origin() {
        return origin();
      },
      get clock() {
        return clock();
      },
      timers: this.#timers,
      emit: (node, item, output) => {
        for (const reader of this.#nodes.get(node)?.readers[output] ?? []) this.#run(reader, item);
      },
      send: (output) => this.#send(output),
      lookup: (node, input, key) => this.#lookup(node, input, key),
      count: (counter: Counter) => this.#progress.count(counter),
    };
  }

  #lookup(node: string, input: number, key: Key): unknown {
    const edge = this.#nodes.get(node)?.node.inputs[input];
    const table = edge === undefined ? undefined : this.#nodes.get(edge.from);
    assert(table?.node.operator.lookup !== undefined, "only tables are looked up");
    return table.node.operator.lookup(key, table.context) ?? null;
  }

  #wire(nodes: readonly GraphNode[]): ReadonlyMap<string, RunningNode> {
    const running = new Map<string, RunningNode>();
    const lags = lagsOf(nodes);
    for (const node of nodes) {
      const context = new NodeContext(node.id, new NodeRows(this.#rows, node.id), lags.get(node.id) ?? 0, this.#host);
      const own: RunningNode = { node, context, readers: [] };
      running.set(node.id, own);
      node.inputs.forEach(({ from, output }, input) => {
        const readers = running.get(from)?.readers;
        assert(readers !== undefined, "a node stands behind those that it takes from");
        (readers[output] ??= []).push({ node: own, input });
      });
    }
    return running;
  }
}

/** By node: how long, in event time, what comes to it may have been held back on its way. */
function lagsOf(nodes: readonly GraphNode[]): ReadonlyMap<string, number> {
  const lags = new Map<string, number>();
  const holds = new Map<string, number>();
  for (const { id, inputs, holdMs } of nodes) {
    lags.set(id, Math.max(0, ...inputs.map(({ from }) => (lags.get(from) ?? 0) + (holds.get(from) ?? 0))));
    holds.set(id, holdMs);
  }
  return lags;
}

function nothingDone(): Done {
  return { outputs: [], chains: [], cuts: [], digests: [], captures: [] };
}

function finite(time: number): number | undefined {
  return Number.isFinite(time) ? time : undefined;
}
