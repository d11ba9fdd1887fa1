/**
 * The log as the state machine has placed it, kept beside a node: each accepted batch with its place, and what of it belongs
 * to a stream, its sources' records included. What a merge delivers is compared with this.
 */
import type { LogNode } from "../../log-server/node/log-node.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import { text } from "../../src/lib/bytes.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import type { LogPlace } from "../../src/record/log-place.ts";
import type { Command } from "../../src/wire/command.ts";

export type ModelBatch = LogPlace & {
  readonly streamId: number;
  readonly firstOffset: number;
  readonly values: readonly string[];
};

export type ModelRecord = LogPlace & { readonly stream: number; readonly offset: number; readonly value: string };

export class LogModel {
  readonly batches: ModelBatch[] = [];
  readonly #views = new Map<number, StreamView>();

  /** Watches what the node applies from now on. */
  constructor(node: LogNode) {
    const { machine } = node;
    const apply = machine.apply.bind(machine);
    machine.apply = (entry, commands) => {
      const applied = apply(entry, commands);
      const batches = commands.flatMap(batchesOf);
      applied.placements.forEach((placement, ordinal) => {
        if (!placement.accepted) return;
        const { streamId, firstOffset } = placement;
        const values = valuesOf(batches[ordinal] as Uint8Array);
        this.batches.push({ position: entry.index, ordinal, streamId, firstOffset, values });
      });
      for (const view of machine.streams()) this.#views.set(view.id, view);
      return applied;
    };
  }

  /** All records of these streams in log order, from the offsets on; as they were appended, whatever was trimmed since. */
  records(ids: readonly number[], offsets: readonly number[]): ModelRecord[] {
    const records: ModelRecord[] = [];
    for (const { position, ordinal, streamId, firstOffset, values } of this.batches) {
      for (const [stream, id] of ids.entries()) {
        const end = this.#ends(id).get(streamId) ?? 0;
        for (const [at, value] of values.entries()) {
          const offset = firstOffset + at;
          if (offset < end && offset >= (offsets[stream] as number))
            records.push({ position, ordinal, stream, offset, value });
        }
      }
    }
    return records;
  }

  /** Of the stream and each of its sources: the offset up to which its records belong to the stream. */
  #ends(id: number): ReadonlyMap<number, number> {
    const ends = new Map<number, number>();
    let end = Number.POSITIVE_INFINITY;
    for (let view = this.#views.get(id); view !== undefined;) {
      ends.set(view.id, end);
      const { forkedFrom } = view;
      if (forkedFrom === undefined) break;
      end = Math.min(end, forkedFrom.offset);
      view = this.#views.get(forkedFrom.streamId);
    }
    return ends;
  }
}

function batchesOf(command: Command): Uint8Array[] {
  if (command.kind === "transaction") return command.operations.flatMap(batchesOf);
  if (command.kind === "append-run") return command.batches.flatMap(({ bytes }) => bytes ?? []);
  const bytes = "batch" in command ? command.batch?.bytes : undefined;
  return bytes === undefined ? [] : [bytes];
}

function valuesOf(bytes: Uint8Array): string[] {
  return recordsOf(bytes).map(({ value }) => value);
}

/** The values in a batch, with their places in it. */
export function recordsOf(bytes: Uint8Array): { readonly offsetDelta: number; readonly value: string }[] {
  const decoded = decodeBatch(bytes, { rawBytesMax: 1_000_000 });
  if (!decoded.ok) throw new Error(decoded.error.message);
  return decoded.value.records.map(({ offsetDelta, record }) => ({
    offsetDelta,
    value: text(record.value ?? new Uint8Array()) ?? "?",
  }));
}
