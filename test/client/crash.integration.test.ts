/**
 * Real processes: the server is killed with -9 under a producer, single appends and a subscription. Acknowledged records
 * are there, once, in order, at the offsets that were told (I5, I6, I7, I8).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort, ServerChild } from "../../client/examples/server-child.ts";
import { connect, TidemarkError } from "../../client/index.ts";

const KILLS = 3;

let folder = "";
let port = 0;
let server: ServerChild | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-crash-"));
  port = await freePort();
  server = await ServerChild.start(["--data", folder, "--listen", `127.0.0.1:${port}`]);
});

afterEach(async () => {
  await server?.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function crash(): Promise<void> {
  await server?.kill();
  server = await ServerChild.start(["--data", folder, "--listen", `127.0.0.1:${port}`]);
}

describe("kill -9", () => {
  it("a producer and a subscription go on without loss, gap or repeat", async () => {
    await using client = connect(`http://127.0.0.1:${port}`);
    const stream = client.stream("s");
    await stream.create();
    const count = 3_000;
    const seen: string[] = [];
    let crashes = 0;
    let crashing: Promise<void> | undefined;
    const subscribed = (async () => {
      for await (const record of stream.subscribe()) {
        expect(record.offset).toBe(seen.length);
        seen.push(record.text());
      }
    })();
    const producer = stream.producer({ batchBytes: 1_024, unacknowledgedBytes: 16 * 1024 });
    const offsets: Promise<number>[] = [];
    for (let at = 0; at < count; at += 1) {
      await producer.ready();
      offsets.push(producer.append(`record ${at}`));
      if (crashes === KILLS || at < ((crashes + 1) * count) / (KILLS + 1)) continue;
      // Something is under way at this moment: the record just appended, at least. The next kill waits for this restart.
      await crashing;
      crashes += 1;
      crashing = crash();
    }
    await producer.close();
    await crashing;
    await stream.close();
    await subscribed;
    const expected = Array.from({ length: count }, (_, at) => `record ${at}`);
    expect(await Promise.all(offsets)).toEqual(expected.map((_, at) => at));
    expect(seen).toEqual(expected);
    const stored: string[] = [];
    for await (const record of stream.read()) stored.push(record.text());
    expect(stored).toEqual(expected);
    expect(crashes).toBe(KILLS);
  });

  it("overlapping single appends: each in the stream where its promise said", async () => {
    await using client = connect(`http://127.0.0.1:${port}`);
    const streams = ["a", "b", "c"].map((name) => client.stream(name));
    for (const stream of streams) await stream.create();
    const told: { readonly stream: number; readonly value: string; readonly offset: number }[] = [];
    const appends = Array.from({ length: 300 }, async (_, at) => {
      const stream = at % streams.length;
      const appended = await streams[stream]?.append(`value ${at}`);
      told.push({ stream, value: `value ${at}`, offset: appended?.offset ?? -1 });
    });
    // When the first of the appends is acknowledged, others are under way.
    await Promise.race(appends);
    await crash();
    await Promise.all(appends);
    for (const [index, stream] of streams.entries()) {
      const stored: string[] = [];
      for await (const record of stream.read()) stored.push(record.text());
      expect(stored).toHaveLength(100);
      for (const { value, offset, stream: of } of told) if (of === index) expect(stored[offset]).toBe(value);
    }
  });

  it("a server that stays away: the errors say what is known", async () => {
    await using client = connect(`http://127.0.0.1:${port}`, { timeout: 300 });
    const stream = client.stream("s");
    await stream.create();
    await server?.kill();
    const failed = await stream.append("a").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TidemarkError);
    expect(failed).toMatchObject({ code: "timeout", retryable: true });
    const read = await stream
      .read()
      .next()
      .catch((error: unknown) => error);
    expect(read).toMatchObject({ code: "timeout", outcome: "not-applied" });
  });
});
