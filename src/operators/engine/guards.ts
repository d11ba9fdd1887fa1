/**
 * While operators run, whatever would differ between replicas throws: the global clock, randomness, timers and `fetch` are
 * replaced when the engine is entered, and put back when it is left. That holds for what is global; what a module imports
 * (`node:crypto`, `node:fs`), the machine's locale, and a date's local parts (`getHours`) are out of reach, and the digests' to find.
 *
 * The engine enters once for each input, or once around many; between two operators only a name is set.
 */
import { DeterminismError } from "./determinism-error.ts";

/** One thing that is taken away, and what stands in its place; `original`: what stood there when it was. */
type Slot = { readonly holder: object; readonly name: string; readonly guard: unknown; original: unknown };

const TIME = "take context.time, or context.logTime";
const RANDOM = "take context.random()";
const ZONE = "say it (Z, or an offset), or take Date.UTC";
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

/** What a callback returned, if it is no promise. */
export function notPromise<T>(value: T): T {
  if (typeof (value as { readonly then?: unknown } | null | undefined)?.then !== "function") return value;
  throw new DeterminismError(running, "a promise", `callbacks are synchronous: join a table, or ${OUTSIDE}`);
}

function slots(): Slot[] {
  const found: Slot[] = [];
  const add = (holder: object | undefined, names: readonly string[], label: string, instead: string): void => {
    for (const name of names)
      if (holder !== undefined && name in holder) found.push(slotOf(holder, name, `${label}${name}`, instead));
  };
  add(Math, ["random"], "Math.", RANDOM);
  add(scope["performance"], ["now"], "performance.", TIME);
  add(scope["crypto"], ["randomUUID", "getRandomValues"], "crypto.", RANDOM);
  add(scope, ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "requestAnimationFrame"], "", TIMER);
  add(scope, ["fetch"], "", OUTSIDE);
  return found;
}

function slotOf(holder: object, name: string, what: string, instead: string): Slot {
  const slot = {
    holder,
    name,
    original: undefined as unknown,
    guard(this: unknown, ...arguments_: unknown[]): unknown {
      if (outside) return Reflect.apply(slot.original as () => unknown, this, arguments_);
      throw new DeterminismError(running, what, instead);
    },
  };
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
  replace(scope, "Date", guardedDate.proxy);
}

function lower(): void {
  for (const undo of restore.reverse()) undo();
  restore = [];
}

/** What is inherited is covered, and uncovered again. */
function replace(holder: object, name: string, value: unknown): void {
  const before = Object.getOwnPropertyDescriptor(holder, name);
  if (before?.configurable === false) return;
  Object.defineProperty(holder, name, {
    value,
    configurable: true,
    writable: true,
    enumerable: before?.enumerable ?? false,
  });
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
