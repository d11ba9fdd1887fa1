/**
 * A disk that fails to sync, or to write (`strace` injects EIO): nothing is acknowledged that depends on it, nothing is
 * tried again, the server says so and ends, and the next one serves everything that was acknowledged (I5, P30).
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./folders.ts";
import { append, create, describe as show, readMessages } from "./http.ts";
import { Life } from "./life.ts";
import { complaintsIn, type Ended, Server } from "./server.ts";
import { failing, type Injection, tracedCalls } from "./strace.ts";
import { Workload } from "./workload.ts";

const SEED = 8_155;
const EXIT_FAILED = 1;
const FIRST_SEGMENT = segmentFile(1);
/** More than a test makes. */
const SEGMENTS_MAX = 512;

function segmentFile(sequence: number): string {
  return `logs/0/segments/${String(sequence).padStart(16, "0")}.log`;
}

function expectClearEnd(ended: Ended): void {
  expect(ended, ended.stderr).toMatchObject({ code: EXIT_FAILED, signal: null });
  expect(complaintsIn(ended.stderr), ended.stderr).toEqual([expect.stringMatching(/EIO|Input\/output error/)]);
}

describe("EIO", () => {
  it("the append it was for is not acknowledged, and it is final", async () => {
    const data = temporaryFolder();
    const first = await Server.start(data);
    expect((await create(first.url, "s")).status).toBe(201);
    await first.stop();
    const trace = join(temporaryFolder(), "trace");
    const server = await Server.start(
      data,
      failing({ call: "pwrite64", when: 20, paths: [join(data, FIRST_SEGMENT)], trace }),
    );
    const before = tracedCalls(trace);
    const acknowledged: number[] = [];
    let refusal: string | undefined;
    for (let number = 0; refusal === undefined; number += 1) {
      expect(number).toBeLessThan(20);
      const answer = await append(server.url, "s", { body: `[${number}]` });
      if (answer.status === 204) acknowledged.push(number);
      else refusal = show(answer);
    }
    expect(refusal).toMatch(/^504 .*"code":"outcome-unknown"/);
    const ended = await server.ended();
    expectClearEnd(ended);
    // One append at a time, so each has a call of its own, which writes and syncs. After the failed one there is none: no second try.
    const calls = tracedCalls(trace);
    expect(calls).toEqual({ succeeded: before.succeeded + acknowledged.length, failed: 1 });
    expect(acknowledged.length).toBeGreaterThan(0);

    const next = await Server.start(data);
    const found = await readMessages(next.url, "s");
    // The one in doubt may be there.
    expect(found.slice(0, acknowledged.length)).toEqual(acknowledged);
    expect(found.length - acknowledged.length).toBeLessThanOrEqual(1);
  });

  it("wherever it hits under load: the server ends clearly, and the next one has all that was acknowledged, once", async () => {
    const data = temporaryFolder();
    const life = new Life(data);
    const workload = new Workload(life, SEED);
    await life.start();
    await workload.prepare();
    const clients = workload.run();
    const failed = clients.then(() => undefined);
    const trace = join(temporaryFolder(), "trace");
    // Those that there will be, too.
    const segments = Array.from({ length: SEGMENTS_MAX }, (_, at) => join(data, segmentFile(at + 1)));
    const hits: readonly Injection[] = [
      { call: "pwrite64", when: 40, trace, paths: segments },
      { call: "pwrite64", when: 97, trace, paths: segments },
      // The store of the image, when what a start writes to it is done: the log takes no writes either once it cannot be kept up.
      { call: "fdatasync", when: 8, trace, paths: [join(data, "image/data.mdb")] },
    ];
    for (const hit of hits) {
      await life.kill();
      await life.start(failing(hit));
      const ended = await Promise.race([failed, life.ended()]);
      expect(ended).toBeDefined();
      expectClearEnd(ended as Ended);
      expect(tracedCalls(trace).failed).toBe(1);
      await life.start();
    }
    life.stopping = true;
    await clients;
    await workload.check();
    await life.stop();
  });

  it("at the start: refused in one line, and the next start is none the worse", async () => {
    const data = temporaryFolder();
    const trace = join(temporaryFolder(), "trace");
    const first = await Server.start(data);
    await create(first.url, "s");
    await append(first.url, "s", { body: "[1,2]" });
    await first.stop();
    const hits: readonly Injection[] = [
      { call: "fdatasync", when: 1, paths: [join(data, "logs/0/hard-state")], trace },
      { call: "pwrite64", when: 1, paths: [join(data, FIRST_SEGMENT)], trace },
    ];
    for (const hit of hits) {
      expectClearEnd(await Server.spawn(data, failing(hit)).ended());
    }
    const last = await Server.start(data);
    expect(await readMessages(last.url, "s")).toEqual([1, 2]);
  });
});
