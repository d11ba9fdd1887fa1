/** Reads over what compaction has left: holes before, between and behind batches, sparse batches, forks of them (I7). */
import { describe, expect, it } from "vitest";
import type { Damage } from "../../log-server/log/repair/damage.ts";
import { type HiddenError, Reader, type ReadResult } from "../../log-server/node/reading/reader.ts";
import { decodeBatch } from "../../src/record/batch-codec.ts";
import { CompactionCluster } from "./compaction-world.ts";

const BYTES_MAX = 1_000_000;

function told({ message }: Damage): HiddenError {
  return { code: "damaged", message };
}

function readerOf(cluster: CompactionCluster): Reader {
  const { log, machine } = cluster.leader;
  return new Reader(log, machine, told, undefined, BYTES_MAX);
}

async function read(cluster: CompactionCluster, stream: string, from: number, to?: number): Promise<ReadResult> {
  const view = cluster.view(stream);
  if (view === undefined) throw new Error("no stream");
  const options = { maxBytes: BYTES_MAX, ...(to !== undefined && { to }) };
  const result = await readerOf(cluster).read(view, from, options);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** `first+span: offset=value …` for each batch. */
function shape({ batches, nextOffset }: ReadResult): readonly [string[], number] {
  const texts = batches.map(({ firstOffset, span, bytes }) => {
    const decoded = decodeBatch(bytes, { rawBytesMax: BYTES_MAX });
    if (!decoded.ok) throw new Error(decoded.error.message);
    const records = decoded.value.records.map(
      ({ offsetDelta, record }) => `${firstOffset + offsetDelta}=${Buffer.from(record.value ?? []).toString()}`,
    );
    expect(decoded.value.span).toBe(span);
    return `${firstOffset}+${span}: ${records.join(" ")}`;
  });
  return [texts, nextOffset];
}

async function compacted(): Promise<CompactionCluster> {
  const cluster = new CompactionCluster([1]);
  cluster.create("a");
  cluster.put("a", "x=0");
  cluster.put("a", "x=1", "y=2", "x=3", "z=4");
  cluster.put("a", "x=5");
  cluster.put("a", "x=6", "z-");
  cluster.now += 1;
  cluster.put("a", "x=8", "w=9");
  cluster.put("a", "x=10");
  cluster.put("a", "x=11");
  await cluster.leader.settle();
  return cluster;
}

describe("a read of a compacted stream", () => {
  it("tells what is there, and goes on behind what is not", async () => {
    const cluster = await compacted();
    cluster.put("a", "x=12");
    await cluster.leader.settle();
    expect(shape(await read(cluster, "a", 0))).toEqual([["1+4: 2=2", "8+2: 9=9", "12+1: 12=12"], 13]);
    expect(shape(await read(cluster, "a", 3))[0]).toHaveLength(3);
    expect(shape(await read(cluster, "a", 5))).toEqual([["8+2: 9=9", "12+1: 12=12"], 13]);
    expect(shape(await read(cluster, "a", 10, 12))).toEqual([[], 12]);
    expect(shape(await read(cluster, "a", 13))).toEqual([[], 13]);
  });

  it("goes on behind a compacted source, in a fork that leaves it inside a sparse batch", async () => {
    const cluster = new CompactionCluster([1]);
    cluster.create("a");
    cluster.put("a", "x=0", "x=1", "y=2");
    cluster.put("a", "x=3");
    await cluster.leader.settle();
    expect(shape(await read(cluster, "a", 0))).toEqual([["0+3: 2=2", "3+1: 3=3"], 4]);
    // As if the frontier had been inside that batch when it was rewritten: what is behind it is all there.
    const source = cluster.view("a");
    if (source === undefined) throw new Error("no stream");
    const { log } = cluster.leader;
    const forked = {
      streamById: () => undefined,
      readRanges: () => [
        { streamId: source.id, from: 0, to: 2 },
        { streamId: source.id, from: 2, to: 3, partialBytes: 1 },
        { streamId: 99, from: 3, to: 5 },
      ],
    };
    const reader = new Reader(log, forked, told, undefined, BYTES_MAX);
    const result = await reader.read({ ...source, nextOffset: 5 }, 0, { maxBytes: BYTES_MAX });
    if (!result.ok) throw new Error(result.error.message);
    expect(shape(result.value)).toEqual([["0+2: ", "2+1: 2=2"], 5]);
  });
});
