/**
 * State of one key as `process` gives it to users: a value, a list, a map, or values by time. Each is rows of its own, so that
 * a change of one entry writes one row. With `ttlMs`, an entry goes away when log time has passed that far since it was
 * last written; reading does not keep it.
 */
import { checkMs } from "../build/settings.ts";
import type { Key } from "../encoding/key-codec.ts";
import type { OperatorContext, Timer } from "../engine/operator.ts";

export type StateOptions = {
  /** Log time, milliseconds. */
  readonly ttlMs?: number;
};

export type StateSpec<Handle> = {
  /** Makes the handle of one key's state. */
  (context: OperatorContext, key: Key, name: string): Handle;
  /** What it is, for people. */
  readonly text: string;
};
export type StateSpecs = Readonly<Record<string, StateSpec<unknown>>>;
export type StateHandles<S extends StateSpecs> = {
  readonly [N in keyof S]: S[N] extends StateSpec<infer H> ? H : never;
};

export interface ValueState<V> {
  get(): V | undefined;
  set(value: V): void;
  clear(): void;
}

export interface ListState<V> {
  push(value: V): void;
  values(): Iterable<V>;
  clear(): void;
}

export interface MapState<F extends Key, V> {
  get(field: F): V | undefined;
  set(field: F, value: V): void;
  delete(field: F): void;
  /** In the order of the fields' keys. */
  entries(): Iterable<readonly [F, V]>;
}

export interface TimeState<V> {
  get(time: number): V | undefined;
  set(time: number, value: V): void;
  delete(time: number): void;
  /** `from <= time < to`, in order of time. */
  range(from: number, to: number): Iterable<readonly [number, V]>;
}

export function valueState<V>(options: StateOptions = {}): StateSpec<ValueState<V>> {
  return spec("value", options, (...at) => {
    const entries = new Entries<V>(options, ...at);
    return { get: () => entries.get(), set: (value) => entries.put(value), clear: () => entries.delete() };
  });
}

/** Items are numbered, the first after a `clear` with 0; with a TTL each goes by itself. */
export function listState<V>(options: StateOptions = {}): StateSpec<ListState<V>> {
  return spec("list", options, (...at) => {
    const entries = new Entries<V>(options, ...at);
    // In the row before the items' own, so that a push reads none of them; it goes when the last of them does.
    const next = new Entries<number>(options, ...at);
    return {
      push(value) {
        const number = next.get() ?? 0;
        entries.put(value, number);
        next.put(number + 1);
      },
      values: () => entries.all().map(([, value]) => value),
      clear() {
        for (const [number] of entries.all()) entries.delete(number);
        next.delete();
      },
    };
  });
}

export function mapState<F extends Key, V>(options: StateOptions = {}): StateSpec<MapState<F, V>> {
  return spec("map", options, (...at) => {
    const entries = new Entries<V>(options, ...at);
    return {
      get: (field) => entries.get(field),
      set: (field, value) => entries.put(value, field),
      delete: (field) => entries.delete(field),
      entries: () => entries.all() as [F, V][],
    };
  });
}

export function timeState<V>(options: StateOptions = {}): StateSpec<TimeState<V>> {
  return spec("time", options, (...at) => {
    const entries = new Entries<V>(options, ...at);
    return {
      get: (time) => entries.get(time),
      set: (time, value) => entries.put(value, time),
      delete: (time) => entries.delete(time),
      range: (from, to) => entries.between(from, to) as [number, V][],
    };
  });
}

/** All that a node keeps, in order of names. */
export function statesText(states: StateSpecs): string {
  const names = Object.keys(states).sort();
  return names.map((name) => `${name}: ${states[name]?.text}`).join(", ");
}

type Make<Handle> = (context: OperatorContext, key: Key, name: string) => Handle;

function spec<Handle>(kind: string, { ttlMs }: StateOptions, make: Make<Handle>): StateSpec<Handle> {
  if (ttlMs !== undefined) checkMs("ttlMs", ttlMs, 1);
  return Object.assign(make, { text: ttlMs === undefined ? kind : `${kind} for ${ttlMs} ms` });
}

/** What the timers of expiry begin with. */
const TTL = "ttl";
const ENTRY = 0;

/** `until`: log time at which it goes; not there if it stays. */
type Stored<V> = { readonly value: V; readonly until?: number };

/** A state's rows: its name, and a number or a field where it has more than one. */
class Entries<V> {
  readonly #ttlMs: number | undefined;
  readonly #context: OperatorContext;
  readonly #key: Key;
  readonly #name: string;

  constructor({ ttlMs }: StateOptions, context: OperatorContext, key: Key, name: string) {
    this.#ttlMs = ttlMs;
    this.#context = context;
    this.#key = key;
    this.#name = name;
  }

  get(...field: readonly Key[]): V | undefined {
    return (this.#context.rows.get(this.#key, this.#name, ENTRY, ...field) as Stored<V> | undefined)?.value;
  }

  put(value: V, ...field: readonly Key[]): void {
    const { rows, logTime } = this.#context;
    const parts = [this.#name, ENTRY, ...field];
    const before = this.#ttlMs === undefined ? undefined : rows.get(this.#key, ...parts);
    const until = this.#ttlMs === undefined ? undefined : logTime + this.#ttlMs;
    rows.put({ value, until }, this.#key, ...parts);
    if (until === undefined || before !== undefined) return;
    this.#context.setTimer({ kind: "log", due: until, key: this.#key, name: [TTL, ...parts] });
  }

  delete(...field: readonly Key[]): void {
    const { rows } = this.#context;
    const parts = [this.#name, ENTRY, ...field];
    // Its timer is left: it finds nothing, or what was written anew.
    rows.delete(this.#key, ...parts);
  }

  all(): (readonly [Key, V])[] {
    return [...this.#context.rows.range(this.#key, this.#name, ENTRY)].map(entryOf<V>);
  }

  between(from: number, to: number): (readonly [Key, V])[] {
    return [...this.#context.rows.between(from, to, this.#key, this.#name, ENTRY)].map(entryOf<V>);
  }
}

function entryOf<V>({ parts, value }: { readonly parts: readonly Key[]; readonly value: unknown }): readonly [Key, V] {
  return [parts[0] as Key, (value as Stored<V>).value];
}

/** True where the timer was one of expiry, which is dealt with here. */
export function expire({ name, key, due }: Timer, context: OperatorContext): boolean {
  if (!Array.isArray(name) || name[0] !== TTL) return false;
  const parts = (name as readonly Key[]).slice(1);
  const stored = context.rows.get(key, ...parts) as Stored<unknown> | undefined;
  // One timer for each entry: it moves when it fires, not whenever the entry is written.
  if (stored?.until !== undefined && stored.until > due)
    context.setTimer({ kind: "log", due: stored.until, key, name });
  else context.rows.delete(key, ...parts);
  return true;
}
