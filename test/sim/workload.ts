/**
 * Clients: producers that append, pipeline, retry with the same sequence what they do not know the outcome of, and
 * sometimes retry what they do; transactions over two streams; a cursor; trims; a table under compaction; readers;
 * consumer groups.
 */
import { assert } from "../../src/lib/assert.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import type { Prng } from "../../src/lib/prng.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { checkBatch, decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { AppendCommand, Command, CommandResult } from "../../src/wire/command.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { shareOut } from "../../client/appending/run-answers.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { History, payloadOf, type SentBatch, Violation } from "./history.ts";
import { DEAD_STREAM, Jobs, JOBS_STREAM, TAKERS } from "./jobs.ts";
import { Table, TABLE_RETENTION, TABLE_STREAM } from "./table.ts";

const PRODUCERS = 4;
const SHARED_STREAM = "shared";
const PAIR = ["pair/left", "pair/right"] as const;
const CURSOR = "progress";
const READ_BYTES_MAX = 16 * 1024;
const BYTES_MAX = 64 * 1024 * 1024;

type Producer = {
  readonly id: string;
  readonly stream: string;
  next: number;
  readonly unacknowledged: SentBatch[];
  readonly acknowledged: SentBatch[];
};

type Found = { readonly offset: number; readonly record: StreamRecord };

export type WorkloadCounts = {
  acknowledged: number;
  unknown: number;
  duplicates: number;
  runs: number;
  refused: number;
  reads: number;
  damagedReads: number;
};

export class Workload {
  readonly history = new History();
  readonly counts: WorkloadCounts = {
    acknowledged: 0,
    unknown: 0,
    duplicates: 0,
    runs: 0,
    refused: 0,
    reads: 0,
    damagedReads: 0,
  };
  readonly #prng: Prng;
  readonly #producers: readonly Producer[];
  readonly #table: Table;
  readonly jobs: Jobs;
  #cursorSent = 0;
  #cursorAcknowledged = 0;
  #pairs = 0;

  constructor(prng: Prng) {
    this.#prng = prng.fork("workload");
    this.#table = new Table(prng.fork("table"));
    this.jobs = new Jobs(prng.fork("jobs"));
    this.#producers = Array.from({ length: PRODUCERS }, (_, place) => ({
      id: `p${place}`,
      stream: place < 2 ? SHARED_STREAM : `own/${place}`,
      next: 0,
      unacknowledged: [],
      acknowledged: [],
    }));
  }

  get streams(): readonly string[] {
    return [...new Set([...this.#producers.map(({ stream }) => stream), ...PAIR])];
  }

  /** What a client does first after it reached a server: makes sure of its streams, and settles what it does not know. */
  async begin(node: LogNode): Promise<void> {
    const create = { kind: "create", closed: false } as const;
    await this.#propose(node, { ...create, stream: TABLE_STREAM, retention: TABLE_RETENTION });
    await Promise.all(this.streams.map((stream) => this.#propose(node, { ...create, stream })));
    await this.jobs.begin((command) => this.#propose(node, command));
    await Promise.all(
      this.#producers.flatMap((producer) =>
        producer.unacknowledged.map((batch) => this.#append(node, producer, batch)),
      ),
    );
  }

  /** A few things at the same time. */
  async step(node: LogNode): Promise<void> {
    const acts = Array.from({ length: 1 + this.#prng.below(6) }, () => this.#act(node));
    acts.push(...Array.from({ length: this.#prng.below(4) }, () => this.#work(node)));
    await Promise.all(acts);
  }

  /** Reads every stream to its tail, and holds what it finds against what was sent. */
  async check(node: LogNode): Promise<void> {
    await node.barrier();
    const pairs = PAIR.map(() => new Set<string>());
    let partial = false;
    for (const name of this.streams) {
      const stream = node.machine.stream(name);
      const { records: read, damaged } =
        stream === undefined ? { records: [], damaged: false } : await this.#readAll(node, name);
      const records = read.map(({ offset, record }) => ({ offset, payload: payloadIn(record) }));
      this.history.check(name, stream?.firstOffset ?? 0, records, damaged || isBlocked(node));
      partial ||= damaged || isBlocked(node);
      const side = PAIR.findIndex((pair) => pair === name);
      for (const { payload } of records) pairs[side]?.add(payload.split("/")[1] ?? "");
    }
    const table = node.machine.stream(TABLE_STREAM);
    if (table !== undefined) {
      const { records, damaged } = await this.#readAll(node, TABLE_STREAM);
      const rows = records.map(({ offset, record: { key, value } }) => ({ offset, key, value }));
      this.#table.check(rows, damaged || isBlocked(node));
    }
    if (node.machine.stream(DEAD_STREAM) !== undefined) {
      const lettersBefore = node.machine.group(TAKERS)?.deadLettered ?? 0;
      const { records, damaged } = await this.#readAll(node, DEAD_STREAM);
      const dead = records.map(({ record }) => record);
      this.jobs.check(node, lettersBefore, dead, damaged || isBlocked(node));
    }
    const [left = new Set(), right = new Set()] = pairs;
    const torn = [...left].filter((pair) => !right.has(pair)).concat([...right].filter((pair) => !left.has(pair)));
    if (torn.length > 0 && !partial) throw new Violation(`I11: transaction ${torn[0]} is in one of its two streams`);
    const cursor = Number(text(node.machine.cursor(CURSOR) ?? utf8("0")));
    if (!isBlocked(node) && (cursor < this.#cursorAcknowledged || cursor > this.#cursorSent)) {
      throw new Violation(
        `I5: the cursor is ${cursor}; ${this.#cursorAcknowledged} was acknowledged, ${this.#cursorSent} sent`,
      );
    }
  }

  #act(node: LogNode): Promise<void> {
    const prng = this.#prng;
    const dice = prng.below(100);
    if (dice < 55) return this.#appendNew(node, prng.pick(this.#producers));
    if (dice < 70) return this.#writeTable(node);
    if (dice < 78) return this.#appendPair(node);
    if (dice < 86) return this.#moveCursor(node);
    if (dice < 90) return this.#trim(node);
    if (dice < 95) return this.#retry(node, prng.pick(this.#producers));
    return this.#readSome(node);
  }

  async #appendNew(node: LogNode, producer: Producer): Promise<void> {
    // A hole in its sequence must be filled first.
    const [oldest] = producer.unacknowledged;
    if (oldest !== undefined && this.#prng.chance(0.5)) {
      const run = runFrom(producer.unacknowledged);
      return run.length > 1 ? this.#appendRun(node, producer, run) : this.#append(node, producer, oldest);
    }
    const payloads = Array.from({ length: 1 + this.#prng.below(5) }, (_, place) =>
      payloadOf(producer.id, producer.next, place, this.#filler()),
    );
    const batch: SentBatch = { stream: producer.stream, producer: producer.id, sequence: producer.next, payloads };
    producer.next += 1;
    producer.unacknowledged.push(batch);
    this.history.sent(batch);
    await this.#append(node, producer, batch);
  }

  /** Again, although the answer came: it must be the same one. */
  async #retry(node: LogNode, producer: Producer): Promise<void> {
    const batch = producer.acknowledged.at(-1 - this.#prng.below(20));
    if (batch !== undefined) await this.#append(node, producer, batch);
  }

  async #append(node: LogNode, producer: Producer, batch: SentBatch): Promise<void> {
    const command: AppendCommand = {
      kind: "append",
      stream: batch.stream,
      batch: sealed(recordsOf(batch.payloads)),
      close: false,
      producer: { id: producer.id, epoch: 0, sequence: batch.sequence },
    };
    const result = await this.#propose(node, command);
    if (result !== undefined) this.#answered(producer, batch, result);
  }

  /** What may have been sent one by one, in one command: each gets its own answer (I8, W180). */
  async #appendRun(node: LogNode, producer: Producer, run: readonly SentBatch[]): Promise<void> {
    const [{ stream, sequence }] = run as readonly [SentBatch];
    const batches = run.map((batch) => sealed(recordsOf(batch.payloads)));
    const tag = { id: producer.id, epoch: 0, sequence };
    const result = await this.#propose(node, { kind: "append-run", stream, producer: tag, batches });
    if (result === undefined) return;
    const answers = result.kind === "appended-run" ? shareOut(result, batches) : undefined;
    if (answers === undefined) throw new Violation(`a run was answered with ${JSON.stringify(result)}`);
    for (const [place, batch] of run.entries()) this.#answered(producer, batch, answers[place] as CommandResult);
    this.counts.runs += 1;
  }

  #answered(producer: Producer, batch: SentBatch, result: CommandResult): void {
    if (result.kind === "rejected" && (result.code === "sequence-gap" || result.code === "stream-not-found")) return;
    if (result.kind !== "appended") throw new Violation(`an append was answered with ${JSON.stringify(result)}`);
    if (result.duplicate) this.counts.duplicates += 1;
    if (result.firstOffset === undefined)
      throw new Violation(`I8: the answer of sequence ${batch.sequence} is no longer known`);
    this.history.acknowledged(batch, result.firstOffset);
    const place = producer.unacknowledged.indexOf(batch);
    if (place < 0) return;
    producer.unacknowledged.splice(place, 1);
    producer.acknowledged.push(batch);
    this.counts.acknowledged += 1;
  }

  /** All or nothing in two streams (I11); not retried, so an unknown one may or may not be there. */
  async #appendPair(node: LogNode): Promise<void> {
    const sequence = this.#pairs;
    this.#pairs += 1;
    const filler = this.#filler();
    const batches = PAIR.map((stream, side): SentBatch => {
      const producer = `t${side}`;
      return { stream, producer, sequence, payloads: [payloadOf(producer, sequence, 0, filler)] };
    });
    for (const batch of batches) this.history.sent(batch);
    const operations = batches.map((batch): AppendCommand => ({
      kind: "append",
      stream: batch.stream,
      batch: sealed(recordsOf(batch.payloads)),
      close: false,
    }));
    const result = await this.#propose(node, { kind: "transaction", conditions: [], operations });
    if (result?.kind !== "transaction") return;
    result.results.forEach((part, side) => {
      const batch = batches[side];
      assert(
        part.kind === "appended" && part.firstOffset !== undefined && batch !== undefined,
        "a transaction answers each of its parts",
      );
      this.history.acknowledged(batch, part.firstOffset);
    });
    this.counts.acknowledged += 1;
  }

  /** Not retried: whoever does not know what came of it writes a newer version some time. */
  async #writeTable(node: LogNode): Promise<void> {
    const write = this.#table.write(this.#filler());
    const batch = sealed(write.records);
    const result = await this.#propose(node, { kind: "append", stream: TABLE_STREAM, batch, close: false });
    if (result?.kind === "appended") this.#table.acknowledged(write);
  }

  async #work(node: LogNode): Promise<void> {
    const propose = (command: Command): Promise<CommandResult | undefined> => this.#propose(node, command);
    if (!this.#prng.chance(0.25)) return this.jobs.act(node, propose);
    await propose({ kind: "append", stream: JOBS_STREAM, batch: sealed(this.jobs.next()), close: false });
  }

  async #moveCursor(node: LogNode): Promise<void> {
    this.#cursorSent += 1;
    const value = this.#cursorSent;
    const result = await this.#propose(node, { kind: "cursor", name: CURSOR, value: utf8(String(value)) });
    if (result?.kind === "done") this.#cursorAcknowledged = Math.max(this.#cursorAcknowledged, value);
  }

  async #trim(node: LogNode): Promise<void> {
    const name = this.#prng.pick(this.#producers).stream;
    const stream = node.machine.stream(name);
    if (stream === undefined || stream.nextOffset - stream.firstOffset < 10) return;
    const before = stream.firstOffset + this.#prng.below(stream.nextOffset - stream.firstOffset);
    this.history.trimSent(name, before);
    await this.#propose(node, { kind: "trim", stream: name, before });
  }

  /** A reader somewhere in the middle, while others write. */
  async #readSome(node: LogNode): Promise<void> {
    const stream = node.machine.stream(this.#prng.pick(this.streams));
    if (stream === undefined || stream.nextOffset === stream.firstOffset) return;
    const from = stream.firstOffset + this.#prng.below(stream.nextOffset - stream.firstOffset);
    const read = await node.read(stream, from, { maxBytes: READ_BYTES_MAX }).catch(() => undefined);
    this.counts.reads += 1;
    if (read?.ok !== true) return;
    const first = read.value.batches[0];
    if (first === undefined || first.firstOffset > from)
      throw new Violation(`I7: a read of ${stream.name} from ${from} skipped records`);
  }

  async #readAll(node: LogNode, name: string): Promise<{ records: Found[]; damaged: boolean }> {
    const records: Found[] = [];
    for (let from = node.machine.stream(name)?.firstOffset ?? 0; ;) {
      const stream = node.machine.stream(name);
      if (stream === undefined || from >= stream.nextOffset) return { records, damaged: false };
      const read = await node.read(stream, from, { maxBytes: READ_BYTES_MAX });
      this.counts.reads += 1;
      if (!read.ok) {
        if (read.error.code !== "damaged") throw new Violation(`a read of ${name} from ${from}: ${read.error.message}`);
        this.counts.damagedReads += 1;
        return { records, damaged: true };
      }
      for (const { firstOffset, bytes } of read.value.batches) {
        const decoded = decodeBatch(bytes, { rawBytesMax: BYTES_MAX });
        if (!decoded.ok) throw new Violation(`I13: a batch of ${name} was served damaged: ${decoded.error.message}`);
        for (const { offsetDelta, record } of decoded.value.records) {
          const offset = firstOffset + offsetDelta;
          if (offset >= from) records.push({ offset, record });
        }
      }
      if (read.value.nextOffset <= from) throw new Violation(`I7: a read of ${name} from ${from} does not get on`);
      from = read.value.nextOffset;
    }
  }

  /** Undefined where nothing or nothing certain came of it. */
  async #propose(node: LogNode, command: Command): Promise<CommandResult | undefined> {
    try {
      return await node.propose(command);
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
      if (error.code === "outcome-unknown") this.counts.unknown += 1;
      else this.counts.refused += 1;
      return undefined;
    }
  }

  #filler(): string {
    const length = this.#prng.chance(0.05) ? this.#prng.below(20_000) : this.#prng.below(300);
    return "x".repeat(length);
  }
}

/** Damage is in the way of applying the log: what is behind it is not known, and not claimed to be. */
function isBlocked(node: LogNode): boolean {
  const { damage, appliedIndex, lastIndex } = node.status();
  return damage.length > 0 && appliedIndex < lastIndex;
}

function recordsOf(payloads: readonly string[]): StreamRecord[] {
  return payloads.map((payload) => ({ value: utf8(payload) }));
}

function payloadIn({ value }: StreamRecord): string {
  return text(value ?? new Uint8Array()) ?? "(not text)";
}

function sealed(records: readonly StreamRecord[]): BatchRef {
  const checked = checkBatch(encodeBatch(records), { batchBytesMax: BYTES_MAX });
  assert(checked.ok, "what was just encoded is a batch");
  return checked.value;
}

/** The first of these, and those behind it as long as no sequence is missing. */
function runFrom(batches: readonly SentBatch[]): readonly SentBatch[] {
  const first = batches[0]?.sequence ?? 0;
  const end = batches.findIndex(({ sequence }, place) => sequence !== first + place);
  return end < 0 ? batches.slice() : batches.slice(0, end);
}
