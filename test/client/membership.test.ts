/** Members of a group that shares streams: sessions, fences, commits, and what they hear, under a clock that tests move. */
import { describe, expect, it } from "vitest";
import { Client } from "../../client/client.ts";
import type { GroupRecord, JoinOptions, Membership, ReadStatus, TidemarkError } from "../../client/index.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { encodeBatch } from "../../src/record/batch-codec.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import type { CommandResult } from "../../src/wire/command.ts";
import { MachineServer, MachineTransport } from "./machine-server.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

const LEASE_MS = 10_000;

class World {
  readonly time: VirtualTime = virtualTime();
  readonly server = new MachineServer(this.time.clock);

  constructor(...streams: readonly string[]) {
    for (const stream of streams) this.append(stream, 5);
    this.server.apply({
      kind: "group-create",
      id: "g",
      mode: { kind: "partitions" },
      streams,
      from: "start",
      leaseMs: LEASE_MS,
    });
  }

  append(stream: string, count: number): CommandResult {
    if (this.server.machine.stream(stream) === undefined)
      this.server.apply({ kind: "create", stream, closed: false, contentType: "text/plain" });
    const bytes = encodeBatch(Array.from({ length: count }, (_, at) => ({ value: utf8(String(at)) })));
    const hash = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true);
    return this.server.apply({
      kind: "append",
      stream,
      close: false,
      batch: { hash, length: bytes.length, span: count, bytes },
    });
  }

  client(seed: number): { readonly client: Client; readonly transport: MachineTransport } {
    const transport = new MachineTransport(this.server);
    const { environment } = virtualTime(seed);
    const client = new Client("http://test", {
      transport,
      environment: { ...this.time.environment, entropy: environment.entropy },
    });
    return { client, transport };
  }

  /** Moves time as far as it takes. */
  settle<T>(promise: Promise<T>): Promise<T> {
    return run(this.time, promise);
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.time.clock.monotonic() + ms;
    for (;;) {
      await turn();
      const { nextDueMs } = this.time.clock;
      const nowMs = this.time.clock.monotonic();
      if (nextDueMs === undefined || nextDueMs > untilMs) {
        this.time.clock.advance(Math.max(0, untilMs - nowMs));
        await turn();
        return;
      }
      this.time.clock.advance(nextDueMs - nowMs);
    }
  }

  committed(): Readonly<Record<string, number>> {
    const streams = this.server.machine.group("g")?.streams() ?? [];
    return Object.fromEntries(streams.map(({ stream, committed }) => [stream, committed]));
  }

  members(): readonly string[] {
    return (this.server.machine.group("g")?.members() ?? []).map(({ name }) => name);
  }
}

/** A member, with all that it was told. */
class Told {
  readonly events: string[] = [];
  readonly statuses: ReadStatus["kind"][] = [];
  readonly options: JoinOptions = {
    onAssigned: (streams) => this.events.push(...streams.map(({ stream, committed }) => `+${stream}@${committed}`)),
    onRevoked: (streams) => this.events.push(...streams.map(({ stream }) => `-${stream}`)),
    onStatus: ({ kind }) => this.statuses.push(kind),
  };
}

async function take(world: World, member: Membership, count: number): Promise<GroupRecord[]> {
  const records: GroupRecord[] = [];
  for (let at = 0; at < count; at += 1) {
    const { value } = await world.settle(member.next());
    if (value === undefined) throw new Error("the membership has ended");
    records.push(value);
  }
  return records;
}

function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => undefined,
    (error: unknown) => (error as TidemarkError).code,
  );
}

describe("a session", () => {
  it("lasts as long as the member, whatever there is to do", async () => {
    const world = new World("a");
    const { client, transport } = world.client(1);
    const told = new Told();
    const member = await world.settle(client.group("g").join(told.options));
    await take(world, member, 5);
    const waiting = member.next();
    await world.advance(LEASE_MS * 20);
    expect(world.members()).toEqual([member.name]);
    const beats = transport.commands.filter(({ kind }) => kind === "group-heartbeat").length;
    expect(beats).toBeGreaterThanOrEqual((LEASE_MS * 20) / CLIENT_LIMITS.heartbeatEveryMsMax - 1);
    world.append("a", 1);
    expect((await world.settle(waiting)).value?.offset).toBe(5);
    expect(told.events).toEqual(["+a@0"]);
    await world.settle(member.close());
    expect(world.members()).toEqual([]);
  });

  it("outlives lost requests and answers, of every kind of command", async () => {
    const world = new World("a", "b");
    const { client, transport } = world.client(1);
    transport.losses.push("lose-request", "lose-answer");
    const told = new Told();
    const member = await world.settle(client.group("g").join({ ...told.options, ack: "manual" }));
    const [first] = await take(world, member, 1);
    transport.losses.push("lose-answer", "lose-request");
    await world.settle(member.ack(first as GroupRecord));
    expect(world.committed()[first?.stream ?? ""]).toBe(1);
    transport.losses.push("lose-request", "lose-answer", "lose-answer");
    await world.advance(LEASE_MS * 2);
    expect(world.members()).toEqual([member.name]);
    transport.losses.push("lose-answer");
    await world.settle(member.close());
    expect(world.members()).toEqual([]);
    expect(told.events).toEqual(["+a@0", "+b@0"]);
    expect(told.statuses.at(-1)).toBe("connected");
  });

  it("that was lost is begun anew; what was its before is fenced (P39)", async () => {
    const world = new World("a");
    const one = world.client(1);
    const two = world.client(2);
    const told = new Told();
    const member = await world.settle(one.client.group("g").join({ ...told.options, ack: "manual" }));
    const [first, second] = await take(world, member, 2);
    await world.settle(member.ack(first as GroupRecord));
    one.transport.cut = true;
    const late = codeOf(member.ack(second as GroupRecord));
    await world.advance(LEASE_MS + 1);
    const waiting = member.next();
    // It has records, but nobody can say that they are still its own.
    let given = false;
    void waiting.then(() => (given = true));
    await world.advance(LEASE_MS);
    expect(given).toBe(false);
    expect(world.members()).toEqual([]);

    const other = await world.settle(two.client.group("g").join({ member: "other" }));
    const [again] = await take(world, other, 1);
    expect([again?.offset, again?.text()]).toEqual([1, "1"]);
    one.transport.cut = false;
    expect(await world.settle(late)).toBe("fenced");
    await world.advance(LEASE_MS);
    expect(told.events).toEqual(["+a@0", "-a"]);
    expect(world.members()).toHaveLength(2);
    expect(told.statuses).toContain("disconnected");
    await world.settle(other.close());
    expect((await world.settle(waiting)).value?.offset).toBe(1);
    expect(told.events).toEqual(["+a@0", "-a", "+a@1"]);
    await world.settle(member.close());
  });

  it("is over for good when another takes the name", async () => {
    const world = new World("a");
    const one = world.client(1);
    const two = world.client(2);
    const member = await world.settle(one.client.group("g").join({ member: "same" }));
    await take(world, member, 5);
    const waiting = codeOf(member.next());
    const other = await world.settle(two.client.group("g").join({ member: "same" }));
    expect(await world.settle(waiting)).toBe("fenced");
    // And it does not fight back.
    const joins = one.transport.commands.filter(({ kind }) => kind === "group-join").length;
    expect(joins).toBe(1);
    await world.settle(other.close());
  });

  it("that was fenced by a late attempt of its own joins again, for nobody else has its name", async () => {
    const world = new World("a");
    const { client, transport } = world.client(1);
    transport.losses.push("late");
    const told = new Told();
    const member = await world.settle(client.group("g").join({ ...told.options, ack: "manual" }));
    const [first] = await take(world, member, 1);
    expect(await world.settle(codeOf(member.ack(first as GroupRecord)))).toBe("fenced");
    const [again] = await take(world, member, 1);
    expect(again?.offset).toBe(0);
    await world.settle(member.ack(again as GroupRecord));
    expect(told.events).toEqual(["+a@0", "-a", "+a@0"]);
    await world.settle(member.close());
  });

  it("that nobody can reach again fails after the time-out, and then ends without a server", async () => {
    const world = new World("a");
    const { client, transport } = world.client(1);
    const member = await world.settle(client.group("g").join({ timeout: 60_000 }));
    await take(world, member, 5);
    transport.cut = true;
    const waiting = codeOf(member.next());
    expect(await world.settle(waiting)).toBe("timeout");
    const beganMs = world.time.clock.monotonic();
    await world.settle(member.close());
    expect(world.time.clock.monotonic() - beganMs).toBeLessThanOrEqual(CLIENT_LIMITS.groupCloseMs);
  });

  it("ends with the group", async () => {
    const world = new World("a");
    const { client } = world.client(1);
    const member = await world.settle(client.group("g").join());
    await take(world, member, 5);
    const waiting = codeOf(member.next());
    world.server.apply({ kind: "group-delete", id: "g" });
    expect(await world.settle(waiting)).toBe("group-not-found");
  });
});

describe("a share", () => {
  it("changes with who is there, and each stream has one reader", async () => {
    const world = new World("a", "b", "c", "d");
    const one = world.client(1);
    const two = world.client(2);
    const told = new Told();
    const member = await world.settle(one.client.group("g").join({ ...told.options, ack: "manual" }));
    expect(member.streams).toEqual(["a", "b", "c", "d"]);
    const other = await world.settle(two.client.group("g").join());
    expect(other.streams).toHaveLength(2);
    await world.advance(CLIENT_LIMITS.heartbeatEveryMsMax);
    expect([...member.streams, ...other.streams].sort()).toEqual(["a", "b", "c", "d"]);
    // What was lost is not delivered any more, though it had been fetched.
    const records = await take(world, member, 10);
    expect(new Set(records.map(({ stream }) => stream))).toEqual(new Set(member.streams));
    await world.settle(Promise.all(records.map((record) => member.ack(record))));
    await world.settle(other.close());
    await world.advance(CLIENT_LIMITS.heartbeatEveryMsMax);
    expect(member.streams).toEqual(["a", "b", "c", "d"]);
    expect(told.events.slice(0, 4)).toEqual(["+a@0", "+b@0", "+c@0", "+d@0"]);
    expect(told.events.slice(4).map((event) => event[0])).toEqual(["-", "-", "+", "+"]);
    await world.settle(member.close());
  });

  it("that an acknowledgement found lost is not delivered any more", async () => {
    const world = new World("a", "b");
    const one = world.client(1);
    const member = await world.settle(one.client.group("g").join({ ack: "manual" }));
    const records = await take(world, member, 6);
    await world.settle(world.client(2).client.group("g").join());
    // Of one of them the stream is another's now, and no heartbeat has said so.
    const [a, b] = ["a", "b"].map((name) => records.find(({ stream }) => stream === name)) as [
      GroupRecord,
      GroupRecord,
    ];
    const outcomes = await Promise.all(
      [codeOf(member.ack(a)), codeOf(member.ack(b))].map((code) => world.settle(code)),
    );
    expect(new Set(outcomes)).toEqual(new Set(["fenced", undefined]));
    expect(member.streams).toEqual([outcomes[0] === "fenced" ? "b" : "a"]);
    await world.settle(member.close());
  });

  it("is fetched ahead within one bound, however many streams it has", async () => {
    const names = Array.from({ length: 8 }, (_, at) => `s${at}`);
    const world = new World(...names);
    const { client, transport } = world.client(1);
    const prefetchBytes = 1024 * 1024;
    const member = await world.settle(client.group("g").join({ prefetchBytes }));
    await take(world, member, 8);
    const asked = transport.readBytesMax;
    expect(asked).toBe(prefetchBytes / 2 / names.length);
    await world.settle(member.close());
  });

  it("goes on where a forced reset says", async () => {
    const world = new World("a");
    const { client } = world.client(1);
    const told = new Told();
    const member = await world.settle(client.group("g").join({ ...told.options, ack: "manual" }));
    const records = await take(world, member, 5);
    await world.settle(member.ack(records[4] as GroupRecord));
    const { incarnation = 0 } = world.server.machine.stream("a") ?? {};
    const positions = [{ stream: "a", incarnation, offset: 2 }];
    expect(world.server.apply({ kind: "group-reset", id: "g", force: true, positions }).kind).toBe("done");
    const [again] = await take(world, member, 1);
    expect(again?.offset).toBe(2);
    expect(await world.settle(codeOf(member.ack(records[4] as GroupRecord)))).toBe("fenced");
    expect(told.events).toEqual(["+a@0", "-a", "+a@2"]);
    await world.settle(member.close());
  });

  it("passes over what is gone, and outlives a stream that is deleted", async () => {
    const world = new World("a", "b");
    world.append("a", 3);
    world.server.forget("a", 0);
    const { client } = world.client(1);
    const told = new Told();
    const member = await world.settle(client.group("g").join(told.options));
    const records = await take(world, member, 8);
    expect(records.filter(({ stream }) => stream === "a").map(({ offset }) => offset)).toEqual([5, 6, 7]);
    const waiting = member.next();
    world.server.apply({ kind: "delete", stream: "a" });
    await world.advance(CLIENT_LIMITS.heartbeatEveryMsMax);
    expect(told.events).toEqual(["+a@0", "+b@0", "-a"]);
    world.append("b", 1);
    expect((await world.settle(waiting)).value).toMatchObject({ stream: "b", offset: 5 });
    await world.settle(member.close());
  });
});

describe("commits", () => {
  it("by themselves are of records whose turn has ended", async () => {
    const world = new World("a");
    const { client } = world.client(1);
    const member = await world.settle(client.group("g").join({ ackEveryMs: 500 }));
    await take(world, member, 3);
    expect(world.committed()).toEqual({ a: 0 });
    await world.advance(500);
    // The third is still being worked on.
    expect(world.committed()).toEqual({ a: 2 });
    await take(world, member, 1);
    await world.settle(member.commit());
    expect(world.committed()).toEqual({ a: 3 });
    await take(world, member, 1);
    await world.settle(member.close());
    expect(world.committed()).toEqual({ a: 4 });
  });

  it("of a loop that was left do not have the record it was left at, unless told", async () => {
    const world = new World("a");
    const { client } = world.client(1);
    const loop = async (ack: boolean): Promise<void> => {
      const member = await client.group("g").join();
      let seen = 0;
      for await (const record of member) {
        seen += 1;
        if (seen < 2) continue;
        if (ack) await member.ack(record);
        break;
      }
    };
    await world.settle(loop(false));
    expect(world.committed()).toEqual({ a: 1 });
    await world.settle(loop(true));
    expect(world.committed()).toEqual({ a: 3 });
  });

  it("asked for together travel together", async () => {
    const world = new World("a", "b");
    const { client, transport } = world.client(1);
    const member = await world.settle(client.group("g").join({ ack: "manual" }));
    const records = await take(world, member, 10);
    await world.settle(Promise.all(records.map((record) => member.ack(record))));
    expect(world.committed()).toEqual({ a: 5, b: 5 });
    expect(transport.commands.filter(({ kind }) => kind === "group-ack")).toHaveLength(1);
    await world.settle(member.close());
  });

  it("that cannot be told do not keep a member from leaving", async () => {
    const world = new World("a");
    const { client, transport } = world.client(1);
    const member = await world.settle(client.group("g").join());
    await take(world, member, 5);
    transport.cut = true;
    const beganMs = world.time.clock.monotonic();
    await world.settle(member.close());
    expect(world.time.clock.monotonic() - beganMs).toBeLessThanOrEqual(CLIENT_LIMITS.groupCloseMs);
    expect(await world.settle(member.next())).toEqual({ done: true, value: undefined });
  });
});
