/**
 * What replicas tell each other when they differ: a statement of what one has at a point that all have, written to the task's stream of
 * commits, which all read. Who sees one answers with its own; each judges by the voices that it heard.
 */
import { text, utf8 } from "../lib/bytes.ts";
import type { StreamRecord } from "../record/record.ts";
import type { Difference, InputPlace } from "./evidence.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** Its name is the same in every replica: "chain 17", "digest 1024 1700000000000". */
export type Point = string;
export type Statement = {
  readonly replica: string;
  readonly point: Point;
  readonly value: string;
  /** Of a digest point, some of the rows that it is made of: those that changed last. */
  readonly rows?: readonly StatedRow[];
  /** Where this replica, and another one, began to differ. */
  readonly difference?: Difference;
};

/** A row as it was at the point: its key in hexadecimal, the hash of both, its value for people; null: it is not there. */
export type StatedRow = {
  readonly key: string;
  readonly hash: string | null;
  readonly value: string | null;
  readonly input?: InputPlace | undefined;
};

/** `backed`, `alone`: most of those heard have the same, and so has this replica, or not. */
export type Judgement = "agreed" | "open" | "backed" | "alone";

const KEY = "statement";
const KEY_BYTES = utf8(KEY);

export function statementRecord(statement: Statement): StreamRecord {
  return { key: KEY_BYTES, value: utf8(JSON.stringify(statement)) };
}

/** Undefined: the record is something else. */
export function readStatement(key: Uint8Array | undefined, value: Uint8Array | null): Statement | undefined {
  if (key === undefined || value === null || text(key) !== KEY) return undefined;
  try {
    const said = JSON.parse(text(value) ?? "") as Record<keyof Statement, unknown>;
    const { replica, point, value: held, rows, difference } = said;
    if (typeof replica !== "string" || typeof point !== "string" || typeof held !== "string") return undefined;
    return {
      replica,
      point,
      value: held,
      ...(Array.isArray(rows) && { rows: rows.filter(isRow) }),
      ...(isDifference(difference) && { difference }),
    };
  } catch {
    return undefined;
  }
}

/** Others may run another build. */
function isRow(said: unknown): said is StatedRow {
  const { key, hash, value } = (said ?? {}) as Record<keyof StatedRow, unknown>;
  return typeof key === "string" && isTextOrNull(hash) && isTextOrNull(value);
}

function isDifference(said: unknown): said is Difference {
  const { what, name, key, input, values } = (said ?? {}) as Record<keyof Difference, unknown>;
  if ((what !== "output" && what !== "state") || typeof name !== "string" || !isTextOrNull(key)) return false;
  if (input === null || (input !== undefined && typeof input !== "object")) return false;
  return typeof values === "object" && values !== null && Object.values(values).every(isTextOrNull);
}

function isTextOrNull(said: unknown): said is string | null {
  return typeof said === "string" || said === null;
}

/** One replica's view of what all have said. */
export class Disputes {
  readonly #replica: string;
  /** What this replica had, by point. */
  readonly #own = new Map<Point, string>();
  /** By point, by replica. */
  readonly #voices = new Map<Point, Map<string, string>>();
  /** Of these this replica has told the others. */
  readonly #said = new Map<Point, true>();

  constructor(replica: string) {
    this.#replica = replica;
  }

  /** What this replica has, from now on. */
  note(point: Point, value: string): void {
    this.#own.set(point, value);
    dropOldest(this.#own, RUNTIME_LIMITS.pointsKeptMax);
  }

  /** What this replica had, if it remembers. */
  own(point: Point): string | undefined {
    return this.#own.get(point);
  }

  /** Somebody has this: true, if it differs from what this replica has. */
  differs({ point, value }: Statement): boolean {
    const own = this.#own.get(point);
    return own !== undefined && own !== value;
  }

  /** This replica tells the others what it has. */
  say(point: Point): void {
    this.#said.set(point, true);
    dropOldest(this.#said, RUNTIME_LIMITS.disputesMax);
  }

  said(point: Point): boolean {
    return this.#said.has(point);
  }

  /** What was heard about a point, by replica. */
  voices(point: Point): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#voices.get(point) ?? []);
  }

  /** Another has the same as this replica, and some have something else. */
  seconded(point: Point): boolean {
    const own = this.#own.get(point);
    const others = [...(this.#voices.get(point) ?? [])].filter(([replica]) => replica !== this.#replica);
    return others.some(([, value]) => value === own) && others.some(([, value]) => value !== own);
  }

  hear({ replica, point, value }: Statement): Judgement {
    const voices = this.#voices.get(point) ?? new Map<string, string>();
    this.#voices.set(point, voices);
    if (voices.size < RUNTIME_LIMITS.voicesMax) voices.set(replica, value);
    dropOldest(this.#voices, RUNTIME_LIMITS.disputesMax);
    return this.#judge(voices);
  }

  #judge(voices: ReadonlyMap<string, string>): Judgement {
    const own = voices.get(this.#replica);
    const counts = new Map<string, number>();
    for (const value of voices.values()) counts.set(value, (counts.get(value) ?? 0) + 1);
    if (counts.size <= 1) return "agreed";
    const most = [...counts].find(([, count]) => count * 2 > voices.size)?.[0];
    if (most === undefined || own === undefined) return "open";
    return own === most ? "backed" : "alone";
  }
}

/** Until there are no more than so many. */
export function dropOldest(map: Map<Point, unknown>, most: number): void {
  for (const point of map.keys()) {
    if (map.size <= most) return;
    map.delete(point);
  }
}
