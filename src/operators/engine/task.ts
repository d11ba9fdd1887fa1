/**
 * One task: a stage of a topology on one partition of its inputs. It is pushed, synchronously: a record (`process`), or the
 * news that log time has passed without one (`advance`). What comes of it gathers until it is taken (`take`), and moves the
 * rows, the cursor and the outputs together (I12). Where batches, advances and takes fall is invisible in all of these.
 *
 * What one record brings about, in this order:
 *   1. what fell due before it in log time, by time: log timers, sources becoming idle (and event timers thereby), digests;
 *   2. the record, through the graph depth first, in order of building;
 *   3. the watermark, and then the event timers that are due by it, by (time, node, key, name), those included that timers set.
 * Timers that are due by the watermark may be left for the next call, so that many at once are done in parts. Where it was left is
 * in the rows, too.
 *
 * What users wrote may throw: then all that this record or this timer did is undone, and what `instead` says goes out at its place. Without
 * `instead` the whole call is undone, and answers with what was poison.
 */
import { assert, InvariantError } from "../../lib/assert.ts";
import { equalBytes } from "../../lib/bytes.ts";
import { err, ok, type Result } from "../../lib/result.ts";
import type { DigestPoint } from "../../record/digest-point.ts";
import { RECORD_LIMITS } from "../../record/limits.ts";
import { TIMESTAMP_MAX_MS } from "../../record/record.ts";
import type { RecordPlace } from "../../record/record-place.ts";
import { recordBytes, sizeFault } from "../../record/record-size.ts";
import type { RowChange } from "../../record/row.ts";
import type { TaskPlace } from "../../record/task-place.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import { OPERATOR_LIMITS } from "../limits.ts";
import { NodeRows } from "../state/node-rows.ts";
import type { RowCapture } from "../state/row-capture.ts";
import type { TimerKind, TimerParts } from "../state/row-keys.ts";
import { Rows, type RowUndo } from "../state/rows.ts";
import type { StateStore } from "../state/state-store.ts";
import { type DueTimer, Timers } from "../state/timers.ts";
import type { RowTotals } from "../state/totals.ts";
import type { GraphNode, Stage } from "./graph.ts";
import { guarded, nameRunning } from "./guards.ts";
import type { Item } from "./item.ts";
import { type Host, NodeContext, type Origin } from "./node-context.ts";
import type { Counter, Reading, Timer } from "./operator.ts";
import { chained } from "./output-chain.ts";
import { type Counters, type NextOffsets, Progress } from "./progress.ts";
import type { Poison, TaskInput, TaskOutput, TimerFact } from "./task-input.ts";
import type { TaskWatch } from "./task-watch.ts";
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
  /** By digest point: how many of the changes were before it. */
  readonly digestedAt: readonly number[];
  /** Writes to rows, by what stood there before. */
  readonly changes: readonly RowUndo[];
  /** The records that were taken in. */
  readonly inputs: readonly InputMark[];
  /** Made as asked for, one at most. */
  readonly captures: readonly TaskCapture[];
  /** Log time at which something falls due even if no record comes; undefined: nothing does. */
  readonly nextDue: number | undefined;
};

/** A record, and how much of its batch was done when it came. */
export type InputMark = {
  readonly source: string;
  readonly offset: number;
  readonly outputs: number;
  readonly changes: number;
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
  readonly digestedAt: number[];
  readonly inputs: InputMark[];
  readonly captures: TaskCapture[];
  /** Of the outputs. */
  bytes: number;
};

/** A way back to what was done, and in which rows, by then. */
type Mark = { readonly rows: number; readonly outputs: number; readonly bytes: number };

/** What goes out in place of poison. `input`: the record, if it is that. */
export type Instead = (poison: Poison, input?: TaskInput) => TaskOutput;

/** Asked before each thing that is due: whether it is still to be done in this call. */
export type More = () => boolean;

type Reader = { readonly node: RunningNode; readonly input: number };
type RunningNode = {
  readonly node: GraphNode;
  /** Its place in the stage. */
  readonly number: number;
  readonly context: NodeContext;
  /** By output. */
  readonly readers: Reader[][];
};

const NO_ORIGIN: Origin = { parts: [], logTime: -Infinity };
const ALL: More = () => true;

/** What one record or one timer brought about beyond all bounds. */
class TooMuch extends Error {}

/** Nothing goes out in place of poison. */
class Poisoned extends Error {
  readonly poison: Poison;

  constructor(poison: Poison) {
    super("poison", { cause: poison.error });
    this.poison = poison;
  }
}

export class Task {
  readonly stage: Stage;
  readonly partition: number;
  readonly #rows: Rows;
  readonly #timers: Timers;
  readonly #progress: Progress;
  readonly #nodes: ReadonlyMap<string, RunningNode>;
  readonly #sources: ReadonlyMap<string, RunningNode>;
  readonly #host: Host;
  readonly #instead: Instead | undefined;
  readonly #watch: TaskWatch | undefined;
  #origin: Origin = NO_ORIGIN;
  #from: TaskPlace;
  #done: Done = nothingDone();
  /** Of the record, or the timer, at hand. */
  readonly #sent = { outputs: 0, bytes: 0, streams: new Set<string>() };
  /** Where an error would come from. */
  #running: RunningNode | undefined;
  /** Of tables, those that others are being told of, the first above all. */
  readonly #changes: { readonly node: string; readonly item: Item }[] = [];
  #isLookingBack = false;
  /** What runs is a timer, no record. */
  #firing = false;
  #captureWanted = false;
  #changesSince: DigestPoint | undefined;

  /** Goes on where the rows in the store are. `totals`: of those rows, if they are known. Without `instead`, poison is an error. */
  constructor(
    stage: Stage,
    partition: number,
    store: StateStore,
    totals?: RowTotals,
    instead?: Instead,
    watch?: TaskWatch,
  ) {
    assert(partition < stage.partitions, "a task is of one of its stage's partitions");
    this.stage = stage;
    this.partition = partition;
    this.#instead = instead;
    this.#watch = watch;
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
    return this.#done.inputs.length + this.#done.outputs.length;
  }

  /** Of the outputs that were not taken yet. */
  get untakenBytes(): number {
    return this.#done.bytes;
  }

  /** Timers that are due by the watermark were left, or a digest point behind them. */
  get unfinished(): boolean {
    return this.#timers.earliest("event") <= this.watermark || this.#progress.pointDue;
  }

  /** Log time at which something falls due even if no record comes; undefined: nothing does. */
  get nextDue(): number | undefined {
    return this.unfinished ? this.logTime : finite(this.#nextDue());
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

  /** A row as it is now; undefined: there is none. */
  row(key: Uint8Array): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  /** How much state there is. */
  get totals(): RowTotals {
    return this.#rows.totals;
  }

  /** Does what falls due before the record, takes it in, and does what it makes due, as long as `more` says so. */
  process(input: TaskInput, more: More = ALL): Result<void, Poison> {
    return this.#attempt(() => this.#take(input, more));
  }

  /**
   * There is no record before this log time, which may be one that a record still has. Does what falls due before it, as long as `more`
   * says so; answers whether that is all.
   */
  advance(logTime: number, more: More = ALL): Result<boolean, Poison> {
    return this.#attempt(() => this.#runUntil(logTime, more));
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
    const changes = this.#rows.commit();
    const batch = { from: this.#from, to: this.#progress.place, ...this.#done, changes, nextDue: this.nextDue };
    this.#from = batch.to;
    this.#done = nothingDone();
    return batch;
  }

  /** Its outputs are numbered on from here, with this chain: so many were committed by the code before. Nothing is left to take. */
  renumber(outputs: number, chain: bigint): void {
    assert(this.untaken === 0, "what was done is taken before outputs have other numbers");
    this.#progress.renumber(outputs, chain);
    this.#from = this.#progress.place;
  }

  /** Forgets all that was done since the last take. */
  rollback(): void {
    this.#undo({ rows: 0, outputs: 0, bytes: 0 });
    this.#progress.read(this.#rows);
    this.#uncapture(0);
    this.#done = nothingDone();
  }

  /** All of it, or nothing. */
  #attempt<T>(run: () => T): Result<T, Poison> {
    const mark = this.#mark();
    const saved = this.#progress.save();
    const { cuts, digests, digestedAt, inputs, captures } = this.#done;
    const before = [cuts.length, digests.length, inputs.length] as const;
    const capturesBefore = captures.length;
    const named = nameRunning("");
    try {
      return ok(guarded(run));
    } catch (error) {
      // Whoever drives a task that fails by itself must not go on with it.
      if (!(error instanceof Poisoned)) throw error;
      this.#undo(mark);
      this.#progress.restore(saved);
      [cuts.length, digests.length, inputs.length] = before;
      digestedAt.length = digests.length;
      this.#uncapture(capturesBefore);
      return err(error.poison);
    } finally {
      nameRunning(named);
      this.#watch?.idle();
    }
  }

  /** They were of a place that is undone, and may come out otherwise. */
  #uncapture(kept: number): void {
    for (const capture of this.#done.captures.splice(kept)) {
      this.settle(capture, false);
      this.#captureWanted = true;
    }
  }

  #mark(): Mark {
    const { outputs, bytes } = this.#done;
    return { rows: this.#rows.mark(), outputs: outputs.length, bytes };
  }

  #undo({ rows, outputs, bytes }: Mark): void {
    this.#rows.rollback(rows);
    this.#timers.forget();
    this.#done.outputs.length = outputs;
    this.#done.chains.length = outputs;
    this.#done.bytes = bytes;
  }

  #take(input: TaskInput, more: More): void {
    const { place, logTime, source, offset } = input;
    const watermarks = this.#progress.watermarks;
    const running = this.#sources.get(source);
    assert(running !== undefined, `a record comes from one of the task's sources, not "${source}"`);
    const { inputs, outputs } = this.#done;
    assert(inputs.length < OPERATOR_LIMITS.inputsPerBatchMax, "I15: what was done is taken before it is too much");
    this.#runUntil(logTime, ALL);
    const isFirst = this.#progress.records === 0;
    if (isFirst) watermarks.begin(logTime);
    // What silence carried it to, before this log time.
    else watermarks.pass(logTime - 1);
    this.#progress.record(input);
    inputs.push({ source, offset, outputs: outputs.length, changes: this.#rows.writes });
    this.#origin = { parts: [place.position, place.ordinal, place.index], logTime };
    this.#progress.clock = watermarks.reached;
    if (isFirst) for (const { node, context } of this.#nodes.values()) node.operator.begin?.(context);
    this.#watch?.record(running.number, offset);
    const reading = this.#read(running, input);
    const at = (): Poison["at"] => ({ kind: "record", source, offset });
    this.#firing = false;
    this.#runUsers(() => this.#onRecord(running, reading), at, input);
    // What is passed over still tells, if it can be read at all, how far event time has come.
    watermarks.observe(source, logTime, reading.ok ? reading.value : undefined);
    this.#fireEventTimers(more);
  }

  #read(running: RunningNode, input: TaskInput): Result<Reading, unknown> {
    const { source } = running.node;
    this.#name(running);
    assert(source !== undefined, "a record comes in at a source");
    try {
      return ok(source.read(input));
    } catch (error) {
      return err(error);
    }
  }

  #onRecord(running: RunningNode, reading: Result<Reading, unknown>): void {
    if (!reading.ok) throw reading.error;
    const { item } = reading.value;
    if (item !== undefined) this.#run({ node: running, input: 0 }, item);
    // A mark of a repartition is nothing that was skipped.
    else if (running.node.source?.internal === false) this.#progress.count("skipped");
  }

  /** What one record, or one timer, is to users' code: all that it does or, if it throws, what goes out in its place. */
  #runUsers(run: () => void, at: () => Poison["at"], input?: TaskInput): void {
    const mark = this.#mark();
    const progress = this.#progress.mark();
    this.#begin();
    try {
      run();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      const poison = { operator: this.#running?.node.id ?? "", error, at: at() };
      if (this.#instead === undefined) throw new Poisoned(poison);
      this.#undo(mark);
      this.#progress.rollback(progress);
      this.#begin();
      this.#send(this.#instead(poison, input));
    }
    if (this.#sent.outputs > 0) this.#done.cuts.push(this.#progress.place);
  }

  /** All that falls due before `logTime`; a digest point there is before what falls due at the same time. Answers whether that is done. */
  #runUntil(logTime: number, more: More): boolean {
    for (;;) {
      if (!this.#fireEventTimers(more)) return false;
      const due = this.#nextDue();
      const boundary = this.#nextBoundary();
      const isBoundary = boundary <= Math.min(logTime, due);
      if (!isBoundary && due >= logTime) return true;
      if (!more()) return false;
      if (isBoundary) this.#digest(boundary);
      else this.#fallDue(due);
    }
  }

  #fallDue(due: number): void {
    this.#progress.elapse(due);
    const timer = this.#timers.earliest("log") <= this.#progress.logTime ? this.#timers.first("log") : undefined;
    if (timer === undefined) this.#progress.watermarks.pass(due);
    else this.#fire("log", timer);
  }

  /** In log time, never before what happened already. */
  #nextDue(): number {
    if (this.#progress.records === 0) return Infinity;
    const change = this.#progress.watermarks.nextChange(this.#timers.earliest("event"));
    return Math.max(this.#progress.logTime, Math.min(this.#timers.earliest("log"), change));
  }

  #nextBoundary(): number {
    const { undigested, logTime } = this.#progress;
    const every = this.stage.digestEveryMs;
    return undigested ? (Math.floor(logTime / every) + 1) * every : Infinity;
  }

  #digest(logTime: number): void {
    this.#progress.digested(logTime);
    const point = this.digest();
    this.#done.digests.push(point);
    this.#done.digestedAt.push(this.#rows.writes);
    if (!this.#captureWanted) return;
    this.#captureWanted = false;
    const since = this.#changesSince;
    const { place, nextOffsets } = this.#progress;
    this.#done.captures.push({ point, place, nextOffsets, since, rows: this.#rows.capture() });
  }

  /** Those that are due by the watermark, and the digest point behind them, if one is. Answers whether that is done. */
  #fireEventTimers(more: More): boolean {
    const progress = this.#progress;
    const { reached } = progress.watermarks;
    while (this.#timers.earliest("event") <= reached) {
      if (!more()) return false;
      const timer = this.#timers.first("event") as DueTimer;
      // What a timer sees is no later than itself: the others are yet to come.
      progress.clock = Math.max(progress.clock, timer.due);
      this.#fire("event", timer);
    }
    progress.clock = reached;
    if (progress.pointDue) this.#digest(progress.logTime);
    return true;
  }

  #fire(kind: TimerKind, { row, due, node: id, key, name }: DueTimer): void {
    this.#timers.remove(kind, row);
    const running = this.#nodes.get(id);
    // A topology that lost a node leaves its timers behind.
    if (running?.node.operator.onTimer === undefined) return;
    const { node, context } = running;
    this.#origin = { parts: [kind, due, id, key, name], logTime: this.#progress.logTime };
    this.#watch?.timer();
    const timer = { kind, due: context.ownTime(kind, due), key, name };
    const fire = (): void => {
      this.#name(running);
      context.enter(timer.due, key);
      node.operator.onTimer?.(timer, context);
    };
    const at = (): Poison["at"] => ({ kind: "timer", node: id, due, key, facts: factsOf(node, timer) });
    this.#firing = true;
    this.#runUsers(fire, at);
  }

  #run({ node: running, input }: Reader, item: Item): void {
    const { node, context } = running;
    const before = this.#name(running);
    context.enter(item.timestamp, item.key);
    node.operator.process(item, context, input);
    this.#name(before);
  }

  #name(running: RunningNode | undefined): RunningNode | undefined {
    const before = this.#running;
    this.#running = running;
    nameRunning(running?.node.id ?? "");
    if (running !== undefined) this.#watch?.node(running.number);
    return before;
  }

  /** A record, or a timer, is run. */
  #begin(): void {
    this.#sent.outputs = 0;
    this.#sent.bytes = 0;
    this.#sent.streams.clear();
    this.#changes.length = 0;
  }

  #send(output: TaskOutput): void {
    const bytes = this.#count(output);
    const { outputs, chains } = this.#done;
    assert(outputs.length < OPERATOR_LIMITS.outputsPerBatchMax, "I15: what was done is taken before it is too much");
    outputs.push(output);
    this.#progress.output(chained(this.#progress.chain, output));
    chains.push(this.#progress.chain);
    this.#done.bytes += bytes;
  }

  /** They go out in one transaction, which takes no more. Answers its size. */
  #count(output: TaskOutput): number {
    const { outputsPerCallMax, outputBytesPerCallMax, outputStreamsPerCallMax } = OPERATOR_LIMITS;
    const bytes = recordBytes(output);
    const fault = sizeFault(bytes, output.headers?.length ?? 0, RECORD_LIMITS.recordBytesMax);
    if (fault !== undefined) throw new TooMuch(fault);
    const { timestamp } = output;
    if (Math.abs(timestamp) > TIMESTAMP_MAX_MS)
      throw new TooMuch(`an output's event time is ${timestamp}; ${TIMESTAMP_MAX_MS} ms from 1970 are the most`);
    const sent = this.#sent;
    sent.outputs += 1;
    sent.bytes += bytes;
    sent.streams.add(output.stream);
    const of = this.#firing ? "one timer" : "one record";
    if (sent.outputs > outputsPerCallMax) throw new TooMuch(`more than ${outputsPerCallMax} outputs of ${of}`);
    if (sent.bytes > outputBytesPerCallMax)
      throw new TooMuch(`outputs of ${of} with more than ${outputBytesPerCallMax} bytes`);
    if (sent.streams.size > outputStreamsPerCallMax)
      throw new TooMuch(`outputs of ${of} to more than ${outputStreamsPerCallMax} streams`);
    return bytes;
  }

  #setTimer(kind: TimerKind, timer: TimerParts): void {
    const { timersSetDueMax } = OPERATOR_LIMITS;
    const now = kind === "log" ? this.logTime : this.watermark;
    if (this.#firing && timer.due <= now && this.#progress.setDue() > timersSetDueMax)
      throw new TooMuch(`timers set more than ${timersSetDueMax} timers for times that had come`);
    this.#timers.set(kind, timer);
  }

  #makeHost(): Host {
    const origin = (): Origin => this.#origin;
    const clock = (): number => this.#progress.clock;
    const { watermarks } = this.#progress;
    return {
      partition: this.partition,
      aligned: this.stage.aligned,
      get origin() {
        return origin();
      },
      get clock() {
        return clock();
      },
      get inputTime() {
        return watermarks.inputTime(origin().logTime);
      },
      get idle() {
        return watermarks.idle;
      },
      setTimer: (kind, timer) => this.#setTimer(kind, timer),
      clearTimer: (kind, timer) => this.#timers.clear(kind, timer),
      emit: (node, item, output) => {
        const isChange = item.old !== undefined;
        if (isChange) this.#changes.push({ node, item });
        for (const reader of this.#nodes.get(node)?.readers[output] ?? []) this.#run(reader, item);
        if (isChange) this.#changes.pop();
      },
      send: (output) => this.#send(output),
      lookup: (node, input, key) => this.#lookup(node, input, key),
      lookupBefore: (node, input, key) => this.#lookupBefore(node, input, key),
      count: (counter: Counter) => this.#progress.count(counter),
    };
  }

  #lookup(node: string, input: number, key: Key): unknown {
    const edge = this.#nodes.get(node)?.node.inputs[input];
    const table = edge === undefined ? undefined : this.#nodes.get(edge.from);
    assert(table?.node.operator.lookup !== undefined, "only tables are looked up");
    if (this.#isLookingBack) {
      const change = this.#changes.findLast(({ node: id, item }) => id === table.node.id && isSameKey(item.key, key));
      if (change !== undefined) return change.item.old;
    }
    return table.node.operator.lookup(key, table.context) ?? null;
  }

  /** Of a table that is made of others, it is made of what those had before. */
  #lookupBefore(node: string, input: number, key: Key): unknown {
    this.#isLookingBack = true;
    try {
      return this.#lookup(node, input, key);
    } finally {
      this.#isLookingBack = false;
    }
  }

  #wire(nodes: readonly GraphNode[]): ReadonlyMap<string, RunningNode> {
    const running = new Map<string, RunningNode>();
    const lags = lagsOf(nodes);
    for (const [number, node] of nodes.entries()) {
      const context = new NodeContext(node.id, new NodeRows(this.#rows, node.id), lags.get(node.id) ?? 0, this.#host);
      const own: RunningNode = { node, number, context, readers: [] };
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

function factsOf({ operator }: GraphNode, timer: Timer): readonly TimerFact[] {
  return operator.timerFacts?.(timer) ?? [];
}

function nothingDone(): Done {
  return { outputs: [], chains: [], cuts: [], digests: [], digestedAt: [], inputs: [], captures: [], bytes: 0 };
}

function isSameKey(a: Key, b: Key): boolean {
  return equalBytes(encodeKey(a), encodeKey(b));
}

function finite(time: number): number | undefined {
  return Number.isFinite(time) ? time : undefined;
}
