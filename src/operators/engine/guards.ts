/**
 * While operators run, what would differ between replicas throws: the global clocks, randomness, timers, and what reaches outside are
 * replaced when the engine is entered, and put back when it is left. It is a net for mistakes, no wall: what a module imports
 * (`node:crypto`, `node:fs`) or took from a global before, the machine's locale and time zone (`Intl`, `toLocaleString`, a date's
 * `getHours`), `process.env`, and variables that outlive a record are out of reach. Those show where runs are compared:
 * `checkDeterminism` and `simulate` in tests, the replicas' digests in production. What is written to the console harms nobody.
 *
 * The engine enters once for each input, or once around many; between two operators only a name is set.
 */
import { isThenable } from "../../lib/thenable.ts";
import { DeterminismError } from "./determinism-error.ts";

/** One thing that is taken away, and what stands in its place; `original`: what stood there when it was. */
type Slot = { readonly holder: object; readonly name: string; readonly guard: PropertyDescriptor; original: unknown };

/** `property`: it is looked at and not called. */
type Kind = "function" | "property";

const TIME = "take context.time, or context.logTime";
const RANDOM = "take context.random()";
const ZONE = "say it (Z, or an offset), or take Date.UTC";
const HASH = "callbacks are synchronous: take a function that answers at once";
const TIMER = "set a timer with context.timers";
const OUTSIDE = "write to a stream, and let a sink outside of the topology do it";

const scope = globalThis as unknown as Record<string, object | undefined>;

let depth = 0;
/** What runs is not the operators', but what they are given by. */
let outside = false;
let running = "";
let restore: (() => void)[] = [];

/** Runs with the guards up. */
export function guarded<T>(run: () => T): T {
  if (depth === 0) raise();
  depth += 1;
  try {
    return run();
  } finally {
    depth -= 1;
    if (depth === 0) lower();
  }
}

/** For what is no operator's doing while one runs: a store that reads from disk may set timers for itself. */
export function unguarded<T>(run: () => T): T {
  const before = outside;
  outside = true;
  try {
    return run();
  } finally {
    outside = before;
  }
}

/** Names the operator that runs from now on; answers the one before, to be named again afterwards. */
export function nameRunning(operator: string): string {
  const before = running;
  running = operator;
  return before;
}

/** What a callback returned, if it is no promise, and nothing that gives promises. */
export function notPromise<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  const what = isThenable(value) ? "a promise" : Symbol.asyncIterator in value ? "an async generator" : undefined;
  if (what === undefined) return value;
  throw new DeterminismError(running, what, `callbacks are synchronous: join a table, or ${OUTSIDE}`);
}

function slots(): Slot[] {
  const found: Slot[] = [];
  const add = (
    holder: object | undefined,
    names: readonly string[],
    label: string,
    instead: string,
    kind: Kind = "function",
  ): void => {
    for (const name of names)
      if (holder !== undefined && name in holder) found.push(slotOf(holder, name, `${label}${name}`, instead, kind));
  };
  add(Math, ["random"], "Math.", RANDOM);
  add(scope["performance"], ["now", "mark", "measure"], "performance.", TIME);
  add(scope["performance"], ["timeOrigin"], "performance.", TIME, "property");
  add(scope["process"], ["hrtime", "uptime"], "process.", TIME);
  // An event is stamped when it is made.
  add(scope, ["Event"], "", TIME);
  add(scope["crypto"], ["randomUUID", "getRandomValues"], "crypto.", RANDOM);
  add(scope["crypto"], ["subtle"], "crypto.", HASH, "property");
  add(scope, ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "requestAnimationFrame"], "", TIMER);
  add(scope["process"], ["nextTick"], "process.", TIMER);
  add(scope["AbortSignal"], ["timeout"], "AbortSignal.", TIMER);
  add(scope["Atomics"], ["wait", "waitAsync"], "Atomics.", TIMER);
  add(scope, ["fetch", "WebSocket", "EventSource", "XMLHttpRequest", "BroadcastChannel", "Worker"], "", OUTSIDE);
  add(scope["process"], ["getBuiltinModule"], "process.", OUTSIDE);
  return found;
}

function slotOf(holder: object, name: string, what: string, instead: string, kind: Kind): Slot {
  const refuse = (): never => {
    throw new DeterminismError(running, what, instead);
  };
  /** As a method it could not be called with `new`. */
  function call(this: unknown, ...arguments_: unknown[]): unknown {
    if (!outside) return refuse();
    const original = slot.original as new () => unknown;
    return new.target === undefined
      ? Reflect.apply(original, this, arguments_)
      : (Reflect.construct(original, arguments_) as unknown);
  }
  // `process.hrtime.bigint` is the clock, too.
  const guard =
    kind === "function"
      ? { value: Object.assign(call, name === "hrtime" && { bigint: refuse }), writable: true }
      : { get: (): unknown => (outside ? slot.original : refuse()) };
  // Looked at before any guard is up: what the platform loads only now, its WebSocket, would extend a guard, that of Event, for ever.
  const slot: Slot = { holder, name, original: Reflect.get(holder, name), guard };
  return slot;
}

/** Made when they are first wanted: each input raises the guards. */
let known: readonly Slot[] | undefined;
let guardedDate: { readonly date: DateConstructor; readonly proxy: DateConstructor } | undefined;

function raise(): void {
  known ??= slots();
  for (const slot of known) {
    const { holder, name, guard } = slot;
    slot.original = Reflect.get(holder, name);
    replace(holder, name, guard);
  }
  // Tests may put a date of their own in its place.
  if (guardedDate?.date !== Date) guardedDate = { date: Date, proxy: dateWithoutNow(Date) };
  const { date, proxy } = guardedDate;
  const guard = { value: proxy, writable: true };
  replace(scope, "Date", guard);
  replace(date.prototype, "constructor", guard);
}

function lower(): void {
  for (const undo of restore.reverse()) undo();
  restore = [];
}

/** What is inherited is covered, and uncovered again. */
function replace(holder: object, name: string, guard: PropertyDescriptor): void {
  const before = Object.getOwnPropertyDescriptor(holder, name);
  if (before?.configurable === false) return;
  Object.defineProperty(holder, name, { ...guard, configurable: true, enumerable: before?.enumerable ?? false });
  restore.push(() => {
    if (before === undefined) Reflect.deleteProperty(holder, name);
    else Object.defineProperty(holder, name, before);
  });
}

/** A date that is made from something is a value like any other, unless that leaves the time zone to the machine. */
function dateWithoutNow(date: DateConstructor): DateConstructor {
  const refuse = (what: string, instead: string): void => {
    if (outside) return;
    throw new DeterminismError(running, what, instead);
  };
  const checkZone = (text: unknown): void => {
    if (typeof text !== "string" || isZoned(text) || Number.isNaN(date.parse(text))) return;
    refuse(`the machine's time zone for "${text}"`, ZONE);
  };
  return new Proxy(date, {
    apply(target) {
      refuse("Date()", TIME);
      return target();
    },
    construct(target, arguments_, newTarget) {
      if (arguments_.length === 0) refuse("new Date()", TIME);
      if (arguments_.length > 1) refuse("the machine's time zone", ZONE);
      checkZone(arguments_[0]);
      return Reflect.construct(target, arguments_, newTarget) as object;
    },
    get(target, name, receiver): unknown {
      if (name === "now")
        return (): number => {
          refuse("Date.now", TIME);
          return target.now();
        };
      if (name !== "parse") return Reflect.get(target, name, receiver);
      return (text: unknown): number => {
        checkZone(text);
        return target.parse(String(text));
      };
    },
  });
}

/**
 * It says its offset, or is a date alone as the standard has it, which is in UTC. Digits behind a sign are an offset only behind a
 * time of day: elsewhere they are a year.
 */
function isZoned(text: string): boolean {
  return (
    /(?:Z|UTC|GMT|(?:UTC|GMT|:\d{2}(?:\.\d+)?)\s*[+-]\d{2}:?\d{2})\s*(?:\([^)]*\))?$/i.test(text) ||
    /^(?:[+-]\d{2})?\d{4}(?:-\d{2}(?:-\d{2})?)?$/.test(text)
  );
}
