/** A node on a simulated disk, store and clock, and small words to use it with. */
import { LOG_LIMITS } from "../../log-server/log/limits.ts";
import { NODE_LIMITS, type NodeLimits } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { type NodeObserver, NO_OBSERVER } from "../../log-server/node/observer.ts";
import { openNode } from "../../log-server/node/open-node.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import type { StreamView } from "../../log-server/streams/views.ts";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimKv } from "../../src/sim/kv.ts";
import type { AppendCommand, AppendedResult, CommandResult, CreateCommand } from "../../src/wire/command.ts";

export type SimNode = { readonly node: LogNode; readonly disk: SimDisk; readonly kv: SimKv; readonly clock: SimClock };

export type SimNodeOptions = {
  readonly disk?: SimDisk;
  readonly kv?: SimKv;
  readonly clock?: SimClock;
  readonly limits?: Partial<NodeLimits>;
  readonly segmentBytes?: number;
  readonly observer?: NodeObserver;
};

/** Opens and starts a node; small segments unless told otherwise. */
export async function startSimNode(options: SimNodeOptions = {}): Promise<SimNode> {
  const disk = options.disk ?? new SimDisk();
  const kv = options.kv ?? new SimKv();
  const clock = options.clock ?? new SimClock();
  const prng = new Prng(7);
  const opened = await openNode({
    disk,
    kv,
    clock,
    entropy: { bytes: (length) => prng.bytes(length) },
    zstd: undefined,
    logId: 0,
    clusterId: "test-cluster",
    nodeName: "n1",
    diskId: "disk-of-n1",
    limits: {
      node: { ...NODE_LIMITS, lowWaterBytes: 0, ...options.limits },
      log: { ...LOG_LIMITS, segmentBytes: options.segmentBytes ?? 16 * 1024, allocationStepBytes: 8 * 1024 },
      streams: STREAMS_LIMITS,
    },
    observer: options.observer ?? NO_OBSERVER,
  });
  if (!opened.ok) throw new Error(`${opened.error.kind}: ${opened.error.message}`);
  await opened.value.start();
  return { node: opened.value, disk, kv, clock };
}

export function batchOf(...values: readonly string[]): BatchRef {
  const bytes = encodeBatch(values.map((value) => ({ value: utf8(value) })));
  const data = new DataView(bytes.buffer, bytes.byteOffset);
  return { hash: data.getBigUint64(0, true), length: bytes.length, span: values.length, bytes };
}

export function create(stream: string, more: Partial<CreateCommand> = {}): CreateCommand {
  return { kind: "create", stream, closed: false, ...more };
}

export function append(stream: string, values: readonly string[], more: Partial<AppendCommand> = {}): AppendCommand {
  return { kind: "append", stream, close: false, batch: batchOf(...values), ...more };
}

export function asAppended(result: CommandResult): AppendedResult {
  if (result.kind !== "appended") throw new Error(`not appended: ${JSON.stringify(result)}`);
  return result;
}

export function streamOf(node: LogNode, name: string): StreamView {
  const stream = node.machine.stream(name);
  if (stream === undefined) throw new Error(`no stream ${name}`);
  return stream;
}

/** All records of a stream as text, read in pieces of `maxBytes`. */
export async function readAll(node: LogNode, name: string, from = 0, maxBytes = 1_000): Promise<string[]> {
  const values: string[] = [];
  let next = from;
  for (;;) {
    const read = await node.read(streamOf(node, name), next, { maxBytes });
    if (!read.ok) throw new Error(`${read.error.code}: ${read.error.message}`);
    for (const batch of read.value.batches) {
      const decoded = decodeBatch(batch.bytes, { rawBytesMax: 1_000_000 });
      if (!decoded.ok) throw new Error(decoded.error.message);
      for (const { offsetDelta, record } of decoded.value.records) {
        const offset = batch.firstOffset + offsetDelta;
        if (offset < next) continue;
        if (offset !== next) throw new Error(`I7: offset ${offset} where ${next} was due`);
        values.push(text(record.value ?? new Uint8Array()) ?? "?");
        next += 1;
      }
    }
    if (read.value.batches.length === 0) return values;
  }
}
