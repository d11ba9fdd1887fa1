/**
 * The `Kv` port in memory. A transaction is durable when `write` resolves; one that was running at a crash happened
 * whole or not at all, as chosen. Reads see only what is durable.
 */
import { assert } from "../lib/assert.ts";
import { firstNotBefore } from "../lib/sorted.ts";
import { DiskError } from "../ports/disk.ts";
import type { Kv, KvWrite } from "../ports/kv.ts";

export type SimKvOptions = {
  /** Called around every transaction; may pull the plug. */
  readonly onMutation?: (phase: "before" | "after", ordinal: number) => void;
  /** Awaited inside every transaction: how a scheduler makes it slow. */
  readonly pace?: () => Promise<void>;
};

const KEY_LENGTH_MAX = 1_000;

/** Keys as text, one character per byte: then the order of strings is the order of unsigned bytes. */
function nameOf(key: Uint8Array): string {
  let name = "";
  for (const byte of key) name += String.fromCharCode(byte);
  return name;
}

function keyOf(name: string): Uint8Array {
  return Uint8Array.from(name, (character) => character.charCodeAt(0));
}

export class SimKv implements Kv {
  #rows: Map<string, Uint8Array>;
  /** The keys of `#rows` in order; absent once one came or went. */
  #sorted: string[] | undefined;
  #running: readonly KvWrite[] | "clear" | undefined;
  #queue: Promise<void> = Promise.resolve();
  readonly #options: SimKvOptions;
  #mutations = 0;
  #off = false;
  #failures = 0;

  constructor(options: SimKvOptions = {}) {
    this.#options = options;
    this.#rows = new Map();
  }

  /* Power and faults. */

  pullPlug(): void {
    this.#off = true;
  }

  get mutations(): number {
    return this.#mutations;
  }

  /** The store after a power cut now; `keepRunning`: whether the transaction that was running, if any, happened. */
  crash(keepRunning = false, options: SimKvOptions = {}): SimKv {
    this.#off = true;
    const after = new SimKv(options);
    after.#rows = new Map(this.#rows);
    if (keepRunning && this.#running !== undefined) after.#apply(this.#running);
    return after;
  }

  /** The next transactions fail, as on a full or broken disk, and change nothing. */
  failNext(times = 1): void {
    this.#failures += times;
  }

  /** Changes a stored value, unnoticed. */
  damage(key: Uint8Array, change: (value: Uint8Array) => void): void {
    const value = this.#rows.get(nameOf(key));
    assert(value !== undefined, "a stored key");
    const damaged = value.slice();
    change(damaged);
    this.#rows.set(nameOf(key), damaged);
  }

  /* The port. */

  get(key: Uint8Array): Uint8Array | undefined {
    this.#requirePower();
    return this.#rows.get(nameOf(key))?.slice();
  }

  *range(
    from: Uint8Array,
    to: Uint8Array,
    options: { readonly reverse?: boolean; readonly limit?: number } = {},
  ): Iterable<readonly [Uint8Array, Uint8Array]> {
    this.#requirePower();
    this.#sorted ??= [...this.#rows.keys()].sort();
    const start = firstAtLeast(this.#sorted, nameOf(from));
    const names = this.#sorted.slice(start, firstAtLeast(this.#sorted, nameOf(to)));
    if (options.reverse === true) names.reverse();
    // Taken now: a walk stands still whatever is written meanwhile. Values are replaced, never changed.
    const rows = names.slice(0, options.limit).map((name) => [name, this.#rows.get(name) as Uint8Array] as const);
    for (const [name, value] of rows) yield [keyOf(name), value.slice()];
  }

  write(writes: readonly KvWrite[]): Promise<void> {
    for (const { key } of writes) assert(key.length > 0 && key.length <= KEY_LENGTH_MAX, "a key has 1 to 1,000 bytes");
    // As one would hand them to another thread: later changes to the caller's arrays do not matter.
    const copied = writes.map((write): KvWrite =>
      write.kind === "put"
        ? { kind: "put", key: write.key.slice(), value: write.value.slice() }
        : { kind: "delete", key: write.key.slice() },
    );
    return this.#enqueue(copied);
  }

  clear(): Promise<void> {
    return this.#enqueue("clear");
  }

  async close(): Promise<void> {
    await this.#queue;
    this.#off = true;
  }

  #enqueue(work: readonly KvWrite[] | "clear"): Promise<void> {
    const done = this.#queue.then(() => this.#run(work));
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #run(work: readonly KvWrite[] | "clear"): Promise<void> {
    this.#requirePower();
    this.#mutations += 1;
    const ordinal = this.#mutations;
    this.#options.onMutation?.("before", ordinal);
    this.#requirePower();
    if (this.#failures > 0) {
      this.#failures -= 1;
      throw new DiskError("io", "kv", "the transaction failed");
    }
    this.#running = work;
    if (this.#options.pace !== undefined) {
      await this.#options.pace();
      this.#requirePower();
    }
    this.#apply(work);
    this.#running = undefined;
    this.#options.onMutation?.("after", ordinal);
    this.#requirePower();
  }

  #apply(work: readonly KvWrite[] | "clear"): void {
    if (work === "clear") {
      this.#rows.clear();
      this.#sorted = undefined;
      return;
    }
    for (const write of work) {
      const name = nameOf(write.key);
      const had = this.#rows.has(name);
      if (write.kind === "put") this.#rows.set(name, write.value);
      else this.#rows.delete(name);
      if (had !== (write.kind === "put")) this.#sorted = undefined;
    }
  }

  #requirePower(): void {
    if (this.#off) throw new DiskError("closed", "kv", "the store is closed");
  }
}

function firstAtLeast(names: readonly string[], name: string): number {
  return firstNotBefore(names, (other) => other < name);
}
