/**
 * A replica's part in comparing: holds what it has against each commit that it reads, says where it differs, answers who does, and
 * judges. Where they differ it looks for the first output, or row, that is not the same: the log has what was committed, and statements
 * have rows.
 */
import { hex, hex64, unhex } from "../lib/bytes.ts";
import type { TaskBatch } from "../operators/engine/task.ts";
import { PROGRESS_ROW } from "../operators/state/row-keys.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import type { RecordPlace } from "../record/record-place.ts";
import { rowHash } from "../record/row.ts";
import { compareTaskPlaces, type TaskPlace } from "../record/task-place.ts";
import type { TaskCommit, TaskReplica } from "../wire/app-command.ts";
import type { StreamName } from "../wire/command.ts";
import { ChangedRows, type SourcePlace } from "./changed-rows.ts";
import { committedOutputs, outputDifference } from "./committed-outputs.ts";
import { Disputes, dropOldest, type Point, type StatedRow, type Statement, statementRecord } from "./dispute.ts";
import { type Difference, type Evidence, type InputPlace, rowName, shownRow } from "./evidence.ts";
import { RUNTIME_LIMITS } from "./limits.ts";
import { MadeOutputs } from "./made-outputs.ts";
import type { TaskLog } from "./task-log.ts";

export type ComparisonConfig = {
  readonly who: TaskReplica;
  /** So far the task was committed when the replica began. */
  readonly begun: TaskPlace;
  /** Where the task's outputs go. */
  readonly outputs: readonly StreamName[];
  /** The task's own, by the source's name. */
  readonly inputs: ReadonlyMap<string, StreamName>;
};

export type ComparisonListener = {
  /** While it was in doubt: another has the same. */
  seconded(): void;
  /** Most are against this replica: it must not do anything more. */
  contradicted(): void;
  /** What was found: of a dispute that goes on, or, `contradicted`, the last of it. */
  settled(evidence: Evidence, contradicted: boolean): void;
};

export class Comparison {
  readonly #log: TaskLog;
  readonly #clock: Clock;
  readonly #config: ComparisonConfig;
  readonly #listener: ComparisonListener;
  readonly #disputes: Disputes;
  readonly #outputs = new MadeOutputs();
  readonly #rows: ChangedRows;
  /** The newest digest point at which a commit had the same. */
  #agreed: Point | undefined;
  #disputed = false;
  /** It is silent, and so no voice: what it began with is not what was committed. */
  #doubted = false;
  /** When it last spoke by itself. */
  #spokeMs = -Infinity;
  /** What it was found to differ at. */
  #point: Point | undefined;
  #difference: Difference | undefined;
  #contradicted = false;
  #looking = false;
  #stopped = false;
  #timer: Timer | undefined;
  /** What it said, and nobody may have heard: the newest of each point. */
  readonly #unheard = new Map<Point, Statement>();
  #sayAgainTimer: Timer | undefined;

  /** `rowNow`: a row of the task, of which nothing is done that was not told by `taken`. */
  constructor(
    log: TaskLog,
    clock: Clock,
    config: ComparisonConfig,
    rowNow: (key: Uint8Array) => Uint8Array | undefined,
    listener: ComparisonListener,
  ) {
    this.#log = log;
    this.#clock = clock;
    this.#config = config;
    this.#listener = listener;
    this.#disputes = new Disputes(config.who.replica);
    this.#rows = new ChangedRows(rowNow);
  }

  /** It differs from another replica, and no majority is against it. */
  get disputed(): boolean {
    return this.#disputed || this.#doubted;
  }

  /** Until another has the same as it. */
  doubt(): void {
    this.#doubted = true;
  }

  get contradicted(): boolean {
    return this.#contradicted;
  }

  taken(batch: TaskBatch): void {
    this.#outputs.add(batch);
    this.#rows.add(batch);
    if (compareTaskPlaces(batch.from, this.#config.begun) < 0) return;
    for (const point of batch.digests) this.#disputes.note(digestName(point), digestValue(point));
  }

  /**
   * I10: all have the same. `place`: of the commit's record; `chain`: this replica's at its end, if it is known. Of what was committed
   * before it began it says nothing: its worker may have, under another id, and a worker that is started again and again would be many.
   */
  compare(commit: TaskCommit, place: RecordPlace, chain: bigint | undefined): void {
    const { replica, digests, to } = commit;
    const point = `chain ${to.outputs}`;
    if (chain !== undefined && to.outputs > this.#config.begun.outputs) this.#disputes.note(point, hex64(chain));
    const outputs: Statement = { replica, point, value: hex64(commit.chain) };
    if (this.#disputes.differs(outputs)) {
      this.#hear(outputs, "commit");
      void this.#lookAt(commit, place, point);
    }
    this.#outputs.forget(to.outputs);
    for (const digest of digests) {
      const state: Statement = { replica, point: digestName(digest), value: digestValue(digest) };
      if (this.#disputes.differs(state)) this.#hear(state, "commit");
      else if (this.#disputes.own(state.point) !== undefined) this.#agreed = state.point;
    }
  }

  /** Answers with its own, where it has one. */
  hear(statement: Statement): void {
    if (statement.replica !== this.#config.who.replica) this.#hear(statement, "statement");
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#sayAgainTimer?.cancel();
  }

  /**
   * Once it differs all that follows differs, so it speaks of one point by itself; and while that is open now and then of another, for
   * those who began later, and know nothing of the first. Who speaks is always answered.
   */
  #hear(statement: Statement, by: "commit" | "statement"): void {
    const { point, value, replica, rows = [], difference } = statement;
    const own = this.#disputes.own(point);
    this.#disputes.hear(statement);
    if (own === undefined) {
      this.#found(difference);
      return;
    }
    const differs = own !== value;
    const found = differs && difference === undefined ? this.#rowDifference(point, rows, replica) : undefined;
    const mine = { replica: this.#config.who.replica, point, value: own };
    const judgement = this.#disputes.hear(mine);
    if (this.#doubted && this.#disputes.seconded(point)) {
      this.#doubted = false;
      this.#listener.seconded();
    }
    if (found !== undefined) this.#say({ ...mine, difference: found });
    else if (!this.#disputes.said(point) && (by === "statement" || this.#maySpeak))
      this.#say(differs && this.#difference === undefined ? { ...mine, rows: this.#statedRows(point) } : mine);
    if (differs) this.#point ??= point;
    this.#dispute(judgement === "open" || (this.#disputed && judgement !== "backed"));
    if (judgement === "alone") this.#giveUp(point);
    this.#found(difference ?? found);
  }

  get #maySpeak(): boolean {
    return !this.#disputed || this.#clock.monotonic() >= this.#spokeMs + RUNTIME_LIMITS.disputeAgainMs;
  }

  #say(statement: Statement): void {
    if (this.#doubted) return;
    this.#spokeMs = this.#clock.monotonic();
    this.#disputes.say(statement.point);
    void this.#tell(statement);
  }

  /**
   * Until it is heard: a wrong replica may have made the last commit for long, and this be the voice that its end takes. What is refused
   * is said no more: then no commit of this replica counts either, and it ends by that.
   */
  async #tell(statement: Statement): Promise<void> {
    const { point } = statement;
    try {
      await this.#log.say(this.#config.who, statementRecord(statement));
    } catch {
      if (this.#stopped) return;
      this.#unheard.set(point, statement);
      dropOldest(this.#unheard, RUNTIME_LIMITS.disputesMax);
      this.#sayAgainTimer ??= this.#clock.schedule(RUNTIME_LIMITS.disputeAgainMs, () => this.#sayAgain());
    }
  }

  #sayAgain(): void {
    this.#sayAgainTimer = undefined;
    const unheard = [...this.#unheard.values()];
    this.#unheard.clear();
    for (const statement of unheard) void this.#tell(statement);
  }

  #dispute(disputed: boolean): void {
    if (disputed && !this.#disputed) this.#settleLater();
    this.#disputed = disputed;
    if (disputed || this.#contradicted) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#point = undefined;
    this.#difference = undefined;
    this.#looking = false;
  }

  #giveUp(point: Point): void {
    if (this.#contradicted) return;
    this.#contradicted = true;
    this.#point = point;
    this.#listener.contradicted();
    if (this.#difference === undefined) this.#settleLater();
    else this.#settle();
  }

  #found(difference: Difference | undefined): void {
    if (difference === undefined || !(this.#config.who.replica in difference.values)) return;
    // What comes when it was settled among the others says nothing about the next time.
    if (!this.#disputed && !this.#contradicted) return;
    this.#difference ??= difference;
    if (this.#contradicted) this.#settle();
  }

  #settleLater(): void {
    // What was a dispute for long may still end in a contradiction.
    this.#timer ??= this.#clock.schedule(RUNTIME_LIMITS.evidenceWithinMs, () => {
      this.#timer = undefined;
      this.#settle();
    });
  }

  #settle(): void {
    const point = this.#point;
    if (point === undefined || this.#stopped) return;
    const { replica } = this.#config.who;
    const evidence = { point, replica, hashes: this.#disputes.voices(point), difference: this.#difference };
    if (this.#contradicted) this.stop();
    this.#listener.settled(evidence, this.#contradicted);
  }

  /** The outputs of a commit that has others than this replica. */
  async #lookAt({ from, to, replica }: TaskCommit, place: RecordPlace, point: Point): Promise<void> {
    const own = this.#outputs.between(from.outputs, to.outputs);
    if (this.#looking || own === undefined) return;
    this.#looking = true;
    let timer: Timer | undefined;
    const { evidenceWithinMs } = RUNTIME_LIMITS;
    const reading = committedOutputs(this.#log, this.#config.outputs, place, own.length, (close) => {
      timer = this.#clock.schedule(evidenceWithinMs, close);
    });
    // Without it less is known.
    const committed = await reading.catch(() => undefined);
    timer?.cancel();
    if (committed === undefined || this.#stopped) return;
    const mine = { replica: this.#config.who.replica, outputs: own };
    const difference = outputDifference(mine, { replica, outputs: committed }, (input) => this.#placeOf(input));
    const value = this.#disputes.own(point);
    if (difference === undefined || value === undefined) return;
    // Who committed it has nobody else to learn from what others have.
    this.#say({ replica: mine.replica, point, value, difference });
    this.#found(difference);
  }

  /** What it has itself at a digest point, for others to compare. */
  #statedRows(point: Point): StatedRow[] {
    const stated: StatedRow[] = [];
    let left: number = RUNTIME_LIMITS.statedCharactersMax;
    for (const { key, value, input } of this.#rows.at(point, this.#agreed, digestName)?.changed ?? []) {
      const row: StatedRow = {
        key: hex(key),
        hash: hashOf(key, value),
        value: shownRow(value),
        input: this.#placeOf(input),
      };
      left -= JSON.stringify(row).length;
      if (left < 0) break;
      stated.push(row);
    }
    return stated;
  }

  /** The row that is not the same and changed first; that of the task's progress, which tells less, only if no other is. */
  #rowDifference(point: Point, theirs: readonly StatedRow[], replica: string): Difference | undefined {
    const then = theirs.length === 0 ? undefined : this.#rows.at(point, this.#agreed, digestName);
    if (then === undefined) return undefined;
    const differing = theirs.flatMap((row) => {
      const key = unhex(row.key);
      const value = key === undefined ? undefined : then.get(key);
      return key === undefined || hashOf(key, value) === row.hash ? [] : [{ key, value, row }];
    });
    const progress = hex(PROGRESS_ROW);
    const first = differing.find(({ row }) => row.key !== progress) ?? differing[0];
    if (first === undefined) return undefined;
    const { key, value, row } = first;
    return {
      what: "state",
      ...rowName(key),
      input: row.input,
      values: { [this.#config.who.replica]: shownRow(value), [replica]: row.value },
    };
  }

  #placeOf(input: SourcePlace | undefined): InputPlace | undefined {
    const stream = input === undefined ? undefined : this.#config.inputs.get(input.source);
    return input === undefined || stream === undefined ? undefined : { stream, offset: input.offset };
  }
}

function hashOf(key: Uint8Array, value: Uint8Array | undefined): string | null {
  return value === undefined ? null : hex64(rowHash(key, value));
}

function digestName({ records, logTime }: DigestPoint): Point {
  return `digest ${records} ${logTime}`;
}

function digestValue({ state, outputs }: DigestPoint): string {
  return `${hex64(state)} ${hex64(outputs)}`;
}
