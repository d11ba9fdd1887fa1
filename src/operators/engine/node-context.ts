/** What one node's operator sees of the task while it runs. A graph has no cycles, so a node is entered once at a time. */
import { ByteWriter } from "../../lib/byte-writer.ts";
import { Prng } from "../../lib/prng.ts";
import { xxh64 } from "../../record/checksum.ts";
import { type Key, writeKey } from "../encoding/key-codec.ts";
import type { NodeRows } from "../state/node-rows.ts";
import type { TimerKind, TimerParts } from "../state/row-keys.ts";
import type { Item } from "./item.ts";
import type { Counter, OperatorContext, Timer } from "./operator.ts";
import type { TaskOutput } from "./task-input.ts";

/** What makes an invocation another than all others: the record, or the timer, that it comes from. */
export type Origin = { readonly parts: readonly Key[]; readonly logTime: number };

/** What the task does for its nodes. */
export interface Host {
  readonly partition: number;
  readonly origin: Origin;
  /** How far event time has come, at the sources. */
  readonly clock: number;
  readonly inputTime: number;
  readonly idle: boolean;
  readonly aligned: boolean;
  setTimer(kind: TimerKind, timer: TimerParts): void;
  clearTimer(kind: TimerKind, timer: TimerParts): void;
  emit(node: string, item: Item, output: number): void;
  send(output: TaskOutput): void;
  lookup(node: string, input: number, key: Key): unknown;
  lookupBefore(node: string, input: number, key: Key): unknown;
  count(counter: Counter): void;
}

/** What a safe integer holds. */
const SEED_BITS = 53;

export class NodeContext implements OperatorContext {
  readonly id: string;
  readonly rows: NodeRows;
  readonly #host: Host;
  /** How much earlier than the sources' the watermark is here: what the nodes before hold back. */
  readonly #lagMs: number;
  #time = 0;
  #key: Key = null;
  #origin: Origin | undefined;
  /** Invocations from the same origin. */
  #calls = 0;
  #prng: Prng | undefined;

  constructor(id: string, rows: NodeRows, lagMs: number, host: Host) {
    this.id = id;
    this.rows = rows;
    this.#lagMs = lagMs;
    this.#host = host;
  }

  /** Before each invocation. */
  enter(time: number, key: Key): void {
    this.#time = time;
    this.#key = key;
    this.#calls = this.#origin === this.#host.origin ? this.#calls + 1 : 0;
    this.#origin = this.#host.origin;
    this.#prng = undefined;
  }

  get partition(): number {
    return this.#host.partition;
  }

  get time(): number {
    return this.#time;
  }

  get logTime(): number {
    return this.#host.origin.logTime;
  }

  get watermark(): number {
    return this.#host.clock - this.#lagMs;
  }

  get inputTime(): number {
    return this.#host.inputTime;
  }

  get idle(): boolean {
    return this.#host.idle;
  }

  get aligned(): boolean {
    return this.#host.aligned;
  }

  random(): number {
    this.#prng ??= new Prng(this.#seed());
    return this.#prng.float();
  }

  emit(item: Item, output = 0): void {
    this.#host.emit(this.id, item, output);
  }

  send(output: TaskOutput): void {
    this.#host.send(output);
  }

  setTimer({ kind, due, key, name }: Timer): void {
    this.#host.setTimer(kind, { due: this.#atSources(kind, due), node: this.id, key, name });
  }

  clearTimer({ kind, due, key, name }: Timer): void {
    this.#host.clearTimer(kind, { due: this.#atSources(kind, due), node: this.id, key, name });
  }

  /** The time that a timer was set for, of the one that it is kept by. */
  ownTime(kind: Timer["kind"], due: number): number {
    return kind === "event" ? due - this.#lagMs : due;
  }

  lookup(input: number, key: Key): unknown {
    return this.#host.lookup(this.id, input, key);
  }

  lookupBefore(input: number, key: Key): unknown {
    return this.#host.lookupBefore(this.id, input, key);
  }

  count(counter: Counter): void {
    this.#host.count(counter);
  }

  #atSources(kind: Timer["kind"], due: number): number {
    return kind === "event" ? due + this.#lagMs : due;
  }

  #seed(): number {
    const writer = new ByteWriter();
    for (const part of [this.id, this.#key, this.#calls, ...this.#host.origin.parts]) writeKey(writer, part);
    return Number(BigInt.asUintN(SEED_BITS, xxh64(writer.view())));
  }
}
