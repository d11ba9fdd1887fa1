/** Dead records come to their dead-letter stream exactly once, over whatever is in the way. */
import { describe, expect, it } from "vitest";
import { text, utf8 } from "../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { SimClock } from "../../src/sim/clock.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";
import type { GroupTakenResult } from "../../src/wire/group-command.ts";
import { DeadLetters } from "../../log-server/node/dead-letters.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import type { LogNode } from "../../log-server/node/log-node.ts";
import { NodeError } from "../../log-server/node/node-error.ts";
import { NO_OBSERVER } from "../../log-server/node/observer.ts";
import type { ReadError, ReadResult } from "../../log-server/node/reading/reader.ts";
import { Driver } from "../streams/driver.ts";
import { partitions, queue, settleAll, take } from "../streams/group-driver.ts";
import { append, create, readAll, type SimNode, startSimNode, streamOf } from "./sim-node.ts";

const TURNS_MAX = 2_000;

async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; !holds(); turn += 1) {
    if (turn > TURNS_MAX) throw new Error("it does not come to pass");
    await endOfTurn();
  }
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Takes what there is of a group, and refuses it for good. */
async function kill(node: LogNode, id: string, reason?: string): Promise<void> {
  const taken = await node.propose({ kind: "group-take", id, member: "m", count: 100 });
  if (taken.kind !== "group-taken") throw new Error(`not taken: ${JSON.stringify(taken)}`);
  expect(await refuse(node, id, taken, reason)).toEqual({ kind: "group-settled", refused: [] });
}

function refuse(node: LogNode, id: string, taken: GroupTakenResult, reason?: string): Promise<CommandResult> {
  const outcome = { kind: "nack", ...(reason !== undefined && { reason }) } as const;
  const settlements = taken.leases.map(({ attempt: _attempt, ...lease }) => ({
    ...lease,
    generation: taken.generation,
    outcome,
  }));
  return node.propose({ kind: "group-settle", id, settlements });
}

async function headersIn(node: LogNode, name: string): Promise<Record<string, string | undefined>[]> {
  const read = await node.read(streamOf(node, name), 0, { maxBytes: 1_000_000 });
  if (!read.ok) throw new Error(read.error.message);
  return read.value.batches.flatMap(({ bytes }) => {
    const decoded = decodeBatch(bytes, { rawBytesMax: 1_000_000 });
    if (!decoded.ok) throw new Error(decoded.error.message);
    return decoded.value.records.map(({ record }) =>
      Object.fromEntries((record.headers ?? []).map(([key, value]) => [key, text(value)])),
    );
  });
}

describe("a node", () => {
  it("moves dead records with where they are from, why, and all that they were (W137)", async () => {
    const { node } = await startSimNode();
    await node.propose(create("q"));
    await node.propose(create("d"));
    await node.propose(queue("g", { streams: ["q"], attemptsMax: 1, deadLetter: "d" }));
    await node.propose(append("q", ["one", "two", "three"]));
    await kill(node, "g", "bad");
    await until(() => node.machine.group("g")?.lag === 0);
    expect(await readAll(node, "d")).toEqual(["one", "two", "three"]);
    const { incarnation } = streamOf(node, "q");
    const place = (offset: number): string =>
      `${String(incarnation).padStart(16, "0")}_${String(offset).padStart(16, "0")}`;
    expect(await headersIn(node, "d")).toEqual(
      [0, 1, 2].map((offset) => ({
        "tidemark-group": "g",
        "tidemark-stream": "q",
        "tidemark-offset": place(offset),
        "tidemark-attempts": "1",
        "tidemark-reason": "bad",
      })),
    );
    expect(node.machine.group("g")).toMatchObject({ deadLettered: 3, dropped: 0, dead: 0 });
    await node.stop();
  });

  it("tells once of a stream that is not there, and moves what others have meanwhile, and the rest when it is", async () => {
    const events: string[] = [];
    const observer = { ...NO_OBSERVER, event: (code: string) => void events.push(code) };
    const { node, clock } = await startSimNode({ observer });
    await node.propose(create("q"));
    await node.propose(create("d"));
    await node.propose(queue("a", { streams: ["q"], attemptsMax: 1, deadLetter: "none" }));
    await node.propose(queue("b", { streams: ["q"], attemptsMax: 1, deadLetter: "d" }));
    const values = Array.from({ length: 40 }, (_, place) => `record ${place}`);
    await node.propose(append("q", values));
    await kill(node, "a");
    await until(() => events.includes("dead-letter-failed"));
    await kill(node, "b");
    for (let round = 0; round < 3; round += 1) {
      clock.advance(NODE_LIMITS.deadLetterRetryMs);
      await endOfTurn();
    }
    await until(() => node.machine.group("b")?.lag === 0);
    expect(await readAll(node, "d")).toEqual(values);
    expect(node.machine.group("a")).toMatchObject({ dead: 40 });
    expect(events.filter((code) => code === "dead-letter-failed")).toHaveLength(1);
    await node.propose(create("none"));
    clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await until(() => node.machine.group("a")?.lag === 0);
    expect(await readAll(node, "none")).toEqual(values);
    await node.stop();
  });

  it("goes on after any loss of power, and has each there once (I5, I8)", async () => {
    const values = ["a", "b", "c", "d", "e", "f"];
    const begin = async (): Promise<SimNode> => {
      const begun = await startSimNode({ limits: { deadLettersTogether: 1 } });
      const { node } = begun;
      await node.propose(create("q"));
      await node.propose(queue("g", { streams: ["q"], attemptsMax: 1, deadLetter: "d" }));
      await node.propose(append("q", values));
      await node.propose(create("d"));
      await kill(node, "g");
      return begun;
    };
    const found = new Set<number>();
    for (let turns = 0; turns < 200; turns += 3) {
      const { node, disk, kv, clock } = await begin();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      found.add(streamOf(node, "d").nextOffset);
      const again = await startSimNode({ disk: disk.crash({ kind: "none" }), kv: kv.crash(), clock });
      await until(() => again.node.machine.group("g")?.lag === 0);
      expect(await readAll(again.node, "d")).toEqual(values);
      expect(again.node.machine.group("g")).toMatchObject({ deadLettered: values.length, dropped: 0 });
      await again.node.stop();
    }
    // Power was lost before, between and after (P46).
    expect(found.size).toBeGreaterThan(2);
  });

  it("lets work end on a full disk, begins none, and moves the dead when there is room (P44)", async () => {
    const limits = { lowWaterBytes: 1_000_000, housekeepingEveryMs: 1_000 };
    const disk = new SimDisk({ capacityBytes: 3_000_000 });
    const { node, clock } = await startSimNode({ limits, disk });
    await node.propose(create("q"));
    await node.propose(create("d"));
    await node.propose(queue("g", { streams: ["q"], attemptsMax: 1, deadLetter: "d", leaseMs: 60_000 }));
    await node.propose(partitions("p", { streams: ["q"], leaseMs: 60_000 }));
    await node.propose(append("q", ["one", "two"]));
    const joined = await node.propose({ kind: "group-join", id: "p", member: "m" });
    const taken = await node.propose({ kind: "group-take", id: "g", member: "m", count: 1 });
    if (joined.kind !== "group-assigned" || taken.kind !== "group-taken") throw new Error("nothing to do");
    const ballast = await disk.open("ballast", "create");
    await ballast.allocate(2_000_000);
    clock.advance(1_000);
    await until(() => node.status().diskFull);
    const begin = { id: "g", member: "m" } as const;
    await expect(node.propose({ kind: "group-take", ...begin, count: 1 })).rejects.toMatchObject({ code: "disk-full" });
    await expect(node.propose({ kind: "group-join", ...begin, id: "p" })).rejects.toMatchObject({ code: "disk-full" });
    const { session } = joined;
    const beat = await node.propose({ kind: "group-heartbeat", id: "p", member: "m", session });
    expect(beat).toMatchObject({ kind: "group-assigned", assignments: [{ stream: "q" }] });
    expect(await refuse(node, "g", taken)).toEqual({ kind: "group-settled", refused: [] });
    await until(() => node.machine.hasDeadRecords);
    await ballast.close();
    await disk.remove("ballast");
    clock.advance(1_000);
    await until(() => !node.status().diskFull);
    clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await until(() => !node.machine.hasDeadRecords);
    expect(await readAll(node, "d")).toEqual(["one"]);
    await node.stop();
  });

  it("counts what lies behind a group in time, and over all groups (I14)", async () => {
    const { node, clock } = await startSimNode();
    await node.propose(create("q"));
    await node.propose(queue("g", { streams: ["q"] }));
    await node.propose(append("q", ["one"]));
    clock.advance(500);
    await node.propose(append("q", ["two"]));
    clock.advance(250);
    const lag = async (): Promise<readonly (number | undefined)[]> =>
      node.groupLag(node.machine.group("g")?.streams() ?? []);
    expect(await lag()).toEqual([750]);
    expect(node.status().groups()).toEqual({ count: 1, lag: 2, inFlight: 0, resting: 0, dead: 0 });
    const taken = await node.propose({ kind: "group-take", id: "g", member: "m", count: 1 });
    if (taken.kind !== "group-taken") throw new Error("not taken");
    expect(await lag()).toEqual([750]);
    const settlements = taken.leases.map(({ attempt: _attempt, ...lease }) => ({
      ...lease,
      generation: taken.generation,
      outcome: { kind: "ack" as const },
    }));
    await node.propose({ kind: "group-settle", id: "g", settlements });
    expect(await lag()).toEqual([250]);
    clock.advance(1_000);
    expect(await lag()).toEqual([1_250]);
    await node.stop();
  });
});

type Answer = Result<ReadResult, ReadError>;

/** The loop alone: over a state machine, and a log that says what it is told to. */
class Bench {
  readonly driver = new Driver();
  readonly clock = new SimClock();
  readonly events: unknown[] = [];
  readonly proposed: Command[] = [];
  read: (offset: number) => Answer = (offset) => ok(batchAt(offset, { value: utf8("x") }));
  propose: (command: Command) => Promise<CommandResult> = async (command) => this.driver.run(command);
  readonly letters: DeadLetters;

  constructor(batchBytesMax = 1_000) {
    this.driver.create("q");
    this.driver.create("d");
    this.driver.run(queue("g", { streams: ["q"], attemptsMax: 1, deadLetter: "d" }));
    this.letters = new DeadLetters(
      {
        machine: this.driver.machine,
        clock: this.clock,
        zstd: undefined,
        limits: { ...NODE_LIMITS, batchBytesMax },
        observer: { ...NO_OBSERVER, event: (code, detail) => void this.events.push([code, detail]) },
      },
      { read: async (_stream, offset) => this.read(offset) },
      (command) => {
        this.proposed.push(command);
        return this.propose(command);
      },
    );
  }

  /** So many are dead. */
  kill(count: number): void {
    this.driver.append("q", count);
    settleAll(this.driver, "g", take(this.driver, "g", count), { kind: "nack", reason: "why" });
  }

  get view(): unknown {
    return this.driver.machine.group("g");
  }

  async run(): Promise<void> {
    this.letters.look();
    for (let turn = 0; turn < 50; turn += 1) await endOfTurn();
  }

  /** The one record of what was proposed last. */
  get last(): StreamRecord | undefined {
    const command = this.proposed.at(-1);
    if (command?.kind !== "group-dead-letter" || command.batch?.bytes === undefined) return undefined;
    const decoded = decodeBatch(command.batch.bytes, { rawBytesMax: 10_000 });
    return decoded.ok ? decoded.value.records[0]?.record : undefined;
  }
}

function batchAt(firstOffset: number, record: StreamRecord): ReadResult {
  const batch = { position: 1, ordinal: 0, firstOffset, span: 1, logTime: 77, bytes: encodeBatch([record]) };
  return { batches: [batch], nextOffset: firstOffset + 1 };
}

describe("the loop", () => {
  it("keeps a record as it was, its key, its headers and its time behind its own", async () => {
    const bench = new Bench();
    bench.kill(1);
    bench.read = (offset) =>
      ok(batchAt(offset, { key: utf8("k"), value: null, headers: [["mine", utf8("h")]], timestamp: 5 }));
    await bench.run();
    expect(bench.last).toMatchObject({ key: utf8("k"), value: null, timestamp: 5 });
    expect(bench.last?.headers?.map(([name]) => name).at(-1)).toBe("mine");
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: 1 });
  });

  it("drops, and counts, what compaction has removed", async () => {
    const bench = new Bench();
    bench.kill(1);
    bench.read = (offset) => ok({ batches: [], nextOffset: offset + 1 });
    await bench.run();
    expect(bench.proposed).toMatchObject([{ kind: "group-dead-letter", offset: 0 }]);
    expect(bench.proposed[0]).not.toHaveProperty("batch");
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: 0, dropped: 1 });
  });

  it.each<[string, () => ReadResult]>([
    ["it is too large", () => batchAt(0, { value: new Uint8Array(990) })],
    [
      "it does not decode",
      () => {
        const read = batchAt(0, { value: utf8("x") });
        return { ...read, batches: read.batches.map((batch) => ({ ...batch, bytes: batch.bytes.subarray(0, 20) })) };
      },
    ],
  ])("keeps at least where it was if %s", async (why, read) => {
    const bench = new Bench();
    bench.kill(1);
    bench.read = () => ok(read());
    await bench.run();
    expect(bench.last?.value).toBeNull();
    expect(bench.last?.headers?.find(([name]) => name === "tidemark-omitted")).toEqual(["tidemark-omitted", utf8(why)]);
    expect(bench.last?.headers?.find(([name]) => name === "tidemark-stream")).toEqual(["tidemark-stream", utf8("q")]);
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: 1 });
  });

  it("tries again, after a while, what is damaged, or found no place in the log", async () => {
    const bench = new Bench();
    bench.kill(1);
    bench.read = () => err({ code: "damaged", message: "a hole" });
    await bench.run();
    await bench.run();
    expect(bench.proposed).toEqual([]);
    expect(bench.events).toEqual([["dead-letter-failed", { reason: "a hole" }]]);
    bench.read = (offset) => ok(batchAt(offset, { value: utf8("x") }));
    const { propose } = bench;
    bench.propose = async () => {
      throw new NodeError("overloaded", "busy");
    };
    bench.clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await bench.run();
    expect(bench.events.at(-1)).toEqual(["dead-letter-failed", { reason: "busy" }]);
    bench.propose = propose;
    bench.clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await bench.run();
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: 1 });
  });

  it("goes past what is damaged, however much that is, and has it when it is readable again", async () => {
    const bench = new Bench();
    const damaged = NODE_LIMITS.deadLettersPerStream * 2;
    bench.kill(damaged + 40);
    bench.read = (offset) =>
      offset % 3 === 0 || offset < damaged
        ? err({ code: "damaged", message: "a hole" })
        : ok(batchAt(offset, { value: utf8("x") }));
    await bench.run();
    const readable = Array.from({ length: damaged + 40 }, (_, at) => at).filter((at) => at >= damaged && at % 3 !== 0);
    expect(bench.proposed.map((command) => "offset" in command && command.offset)).toEqual(readable);
    expect(bench.events).toEqual([["dead-letter-failed", { reason: "a hole" }]]);
    bench.read = (offset) => ok(batchAt(offset, { value: utf8("x") }));
    bench.clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await bench.run();
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: damaged + 40 });
  });

  it("does again what it does not know the outcome of, and it takes effect once (I8)", async () => {
    const bench = new Bench();
    bench.kill(3);
    const { propose } = bench;
    bench.propose = async (command) => {
      await propose(command);
      throw new NodeError("outcome-unknown", "who knows");
    };
    await bench.run();
    bench.propose = propose;
    bench.clock.advance(NODE_LIMITS.deadLetterRetryMs);
    await bench.run();
    expect(bench.driver.machine.stream("d")?.nextOffset).toBe(3);
    expect(bench.view).toMatchObject({ lag: 0, deadLettered: 3 });
  });

  it("has stopped only when nothing is under way, one that failed or not", async () => {
    const bench = new Bench();
    bench.kill(3);
    const release: (() => void)[] = [];
    let done = 0;
    bench.propose = async (command) => {
      if (bench.proposed.length === 1) throw new NodeError("overloaded", "busy");
      await new Promise<void>((resolve) => void release.push(resolve));
      done += 1;
      return bench.driver.run(command);
    };
    await bench.run();
    const stopping = bench.letters.stop();
    let stopped = false;
    void stopping.then(() => (stopped = true));
    await endOfTurn();
    expect([stopped, release.length]).toEqual([false, 2]);
    for (const resolve of release) resolve();
    await stopping;
    expect(done).toBe(2);
    await bench.run();
    expect(bench.proposed).toHaveLength(3);
  });
});
