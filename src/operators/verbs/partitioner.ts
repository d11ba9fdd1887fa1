/**
 * Which of a stream's partitions a record belongs to: by a hash of its key, by ranges of keys, by event time, or in turn. Two
 * inputs can be joined only where the same key is in the same partition of both (`build/keying.ts`).
 */
import { compareBytes } from "../../lib/bytes.ts";
import { xxh64 } from "../../record/checksum.ts";
import { encodeKey, type Key } from "../encoding/key-codec.ts";
import type { SourceSettings } from "../engine/graph.ts";
import type { Item } from "../engine/item.ts";
import type { OperatorContext } from "../engine/operator.ts";
import { recordKey } from "./to.ts";

export type Partitioner =
  | { readonly kind: "hash" }
  /** Partition 0 has what is before the first bound, and so on: one bound less than partitions. */
  | { readonly kind: "range"; readonly bounds: readonly Key[] }
  /** Consecutive periods go to consecutive partitions. */
  | { readonly kind: "time"; readonly periodMs: number }
  | { readonly kind: "round-robin" };

export const HASH: Partitioner = { kind: "hash" };

const NO_KEY: Uint8Array = new Uint8Array(0);

/** `turn`: how many records went before, for those that go in turn. */
export function partitionOf(
  partitioner: Partitioner,
  count: number,
  key: Key,
  timestamp: number,
  turn: number,
): number {
  switch (partitioner.kind) {
    case "hash":
      // Of the key as records have it, so that producers that know no operators can partition alike.
      return Number(xxh64(recordKey(key) ?? NO_KEY) % BigInt(count));
    case "range": {
      const encoded = encodeKey(key);
      const place = partitioner.bounds.findIndex((bound) => compareBytes(encoded, encodeKey(bound)) < 0);
      return place < 0 ? count - 1 : place;
    }
    case "time":
      return modulo(Math.floor(timestamp / partitioner.periodMs), count);
    case "round-robin":
      return turn % count;
  }
}

/** Of a record that an operator writes, which remembers whose turn it is. */
export function partitionFor(
  partitioner: Partitioner,
  count: number,
  { key, timestamp }: Item,
  { rows }: OperatorContext,
): number {
  if (partitioner.kind !== "round-robin") return partitionOf(partitioner, count, key, timestamp, 0);
  const turn = (rows.get(null) ?? 0) as number;
  rows.put((turn + 1) % count, null);
  return turn;
}

/** How a source lies in partitions, as its topology says it. */
export type InputPartitions = { readonly partitions: number; readonly by?: Partitioner };

/**
 * For producers: the stream to which a record goes that a source of this name is to find where it looks for it. `timestamp`, its event
 * time, is for `time`; `turn`, how many records went before it, for `round-robin`.
 */
export function inputStream(
  name: string,
  { partitions, by = HASH }: InputPartitions,
  record: { readonly key?: Key; readonly timestamp?: number; readonly turn?: number },
): string {
  const { key = null, timestamp = 0, turn = 0 } = record;
  return partitionStream(name, partitionOf(by, partitions, key, timestamp, turn), partitions);
}

/** A partition's stream: one that is alone has the name itself. */
export function partitionStream(name: string, partition: number, count: number): string {
  return count === 1 ? name : numbered(name, partition);
}

/** What the task of this partition reads of a source. Those that a topology makes for itself are numbered, however few they are. */
export function sourceStream({ name, internal, partitions }: SourceSettings, partition: number): string {
  return internal ? numbered(name, partition) : partitionStream(name, partition, partitions);
}

/** One of the streams that a stage writes for the next. */
export function numbered(name: string, partition: number): string {
  return `${name}/${partition}`;
}

function modulo(value: number, count: number): number {
  return ((value % count) + count) % count;
}
