/**
 * Which rows a replica changed last, and what stood there before, as far back as its bound goes: with the rows as they are now that says
 * what they were at a digest point. Nobody asks before replicas differ, so it is kept as plain bytes: so many small objects would cost
 * the collector more than the task itself.
 */
import { ByteReader } from "../lib/byte-reader.ts";
import { ByteWriter } from "../lib/byte-writer.ts";
import { hex } from "../lib/bytes.ts";
import type { TaskBatch } from "../operators/engine/task.ts";
import type { RowUndo } from "../operators/state/rows.ts";
import type { DigestPoint } from "../record/digest-point.ts";
import { RUNTIME_LIMITS } from "./limits.ts";

/** A record of the task's input; the source as its topology knows it. */
export type SourcePlace = { readonly source: string; readonly offset: number };

/** A row as it was at a point, and the last record that was taken in when it was changed last before. */
export type ChangedRow = {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly input: SourcePlace | undefined;
};

/** Rows as they were at a digest point. */
export type RowsThen = {
  /** Changed since another point, or for as long as is known; in the order of their last changes. */
  readonly changed: readonly ChangedRow[];
  readonly get: (key: Uint8Array) => Uint8Array | undefined;
};

type Kept = Pick<TaskBatch, "digests" | "digestedAt"> & { readonly bytes: Uint8Array };
/** Behind so many changes of a batch. */
type Mark = { readonly at: number; readonly changes: number };
type Change = RowUndo & { readonly input: SourcePlace | undefined };

const ABSENT = 0;
const PRESENT = 1;

/** Reused. */
const WRITER = new ByteWriter(64 * 1024);

export class ChangedRows {
  readonly #rowNow: (key: Uint8Array) => Uint8Array | undefined;
  #kept: Kept[] = [];
  #bytes = 0;

  /** `rowNow`: a row behind all that was added. */
  constructor(rowNow: (key: Uint8Array) => Uint8Array | undefined) {
    this.#rowNow = rowNow;
  }

  add(batch: TaskBatch): void {
    const { digests, digestedAt } = batch;
    const bytes = encodeChanges(batch);
    this.#kept.push({ digests, digestedAt, bytes });
    this.#bytes += bytes.length;
    let dropped = 0;
    for (; this.#bytes > RUNTIME_LIMITS.changedRowsBytesMax; dropped += 1)
      this.#bytes -= (this.#kept[dropped] as Kept).bytes.length;
    if (dropped > 0) this.#kept = this.#kept.slice(dropped);
  }

  /** At the point with one name, by `nameOf`, since that with the other; undefined: it does not go back so far. */
  at(point: string, since: string | undefined, nameOf: Naming): RowsThen | undefined {
    const end = this.#find(point, nameOf);
    if (end === undefined) return undefined;
    const begin = (since === undefined ? undefined : this.#find(since, nameOf)) ?? { at: 0, changes: 0 };
    const get = this.#rowsBehind(end);
    const changed = new Map<string, ChangedRow>();
    for (const { key, input } of this.#between(begin, end)) {
      const name = hex(key);
      // Last in order, too.
      changed.delete(name);
      changed.set(name, { key, value: get(key), input });
    }
    return { changed: [...changed.values()], get };
  }

  *#between(begin: Mark, end?: Mark): Iterable<Change> {
    for (let at = begin.at; at <= (end?.at ?? this.#kept.length - 1); at += 1) {
      const from = at === begin.at ? begin.changes : 0;
      yield* decodeChanges((this.#kept[at] as Kept).bytes).slice(from, at === end?.at ? end.changes : undefined);
    }
  }

  #find(point: string, nameOf: Naming): Mark | undefined {
    for (const [at, { digests, digestedAt }] of this.#kept.entries()) {
      const place = digests.findIndex((each) => nameOf(each) === point);
      if (place >= 0) return { at, changes: digestedAt[place] as number };
    }
    return undefined;
  }

  /** What was changed behind the mark was, there, what stood before the first change; the rest is as it is now. */
  #rowsBehind(mark: Mark): RowsThen["get"] {
    const befores = new Map<string, Uint8Array | undefined>();
    for (const { key, before } of this.#between(mark)) {
      const name = hex(key);
      if (!befores.has(name)) befores.set(name, before);
    }
    return (key) => (befores.has(hex(key)) ? befores.get(hex(key)) : this.#rowNow(key));
  }
}

type Naming = (point: DigestPoint) => string;

function encodeChanges({ changes, inputs }: TaskBatch): Uint8Array {
  WRITER.reset();
  WRITER.varint(inputs.length);
  for (const { source, offset, changes: before } of inputs) WRITER.string(source).varint(offset).varint(before);
  WRITER.varint(changes.length);
  for (const { key, before } of changes) {
    WRITER.blob(key);
    if (before === undefined) WRITER.u8(ABSENT);
    else WRITER.u8(PRESENT).blob(before);
  }
  return WRITER.finish();
}

function decodeChanges(bytes: Uint8Array): Change[] {
  const reader = new ByteReader(bytes);
  const most = bytes.length;
  const inputs = Array.from({ length: reader.count(most) }, () => {
    return { source: reader.string(most), offset: reader.varint(), changes: reader.varint() };
  });
  let next = 0;
  return Array.from({ length: reader.count(most) }, (_, place): Change => {
    while ((inputs[next]?.changes ?? Infinity) <= place) next += 1;
    const key = reader.blob(most);
    const before = reader.u8() === PRESENT ? reader.blob(most) : undefined;
    return { key, before, input: inputs[next - 1] };
  });
}
