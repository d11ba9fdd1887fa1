/**
 * Signals under load: a server that is frozen for a while and goes on, one that is told to stop with live readers
 * attached, and two on one folder.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "./folders.ts";
import { append, create, readMessages, readOnce, send, streamUrl } from "./http.ts";
import { Life } from "./life.ts";
import { complaintsIn, Server } from "./server.ts";
import { Workload } from "./workload.ts";

const SEED = 3;
const FREEZES = 3;
/** How long it is frozen: far longer than anything in it expects to wait for its turn. */
const FROZEN_MS = 300;
/** Acknowledgements between two signals. */
const BETWEEN = 60;
const EXIT_FAILED = 1;

async function freeze(server: Server, milliseconds: number, meanwhile?: () => void): Promise<void> {
  server.signal("SIGSTOP");
  meanwhile?.();
  await sleep(milliseconds);
  server.signal("SIGCONT");
}

/** All messages of an event stream, once it has ended. */
async function eventsUntilEnd(url: string, name: string): Promise<unknown[]> {
  const response = await fetch(`${streamUrl(url, name)}?offset=-1&live=sse`);
  expect(response.status).toBe(200);
  const text = await response.text();
  const data = text.split("\n\n").filter((event) => event.startsWith("event: data"));
  return data.flatMap((event) => {
    const lines = event.split("\n").filter((line) => line.startsWith("data:"));
    return JSON.parse(lines.map((line) => line.slice("data:".length)).join("\n")) as unknown[];
  });
}

describe("SIGSTOP and SIGCONT", () => {
  it("under load: nothing is lost, repeated or moved", async () => {
    const life = new Life(temporaryFolder());
    const workload = new Workload(life, SEED);
    await life.start();
    await workload.prepare();
    const clients = workload.run();
    const failed = clients.then(() => undefined);
    for (let count = 0; count < FREEZES; count += 1) {
      await Promise.race([failed, life.more(BETWEEN)]);
      await freeze(life.server, FROZEN_MS);
    }
    life.stopping = true;
    await clients;
    await workload.check();
    await life.stop();
  });

  it("what ran out meanwhile is gone for those who asked meanwhile", async () => {
    const server = await Server.start(temporaryFolder());
    const name = "short-lived";
    const headers = { "content-type": "application/json", "stream-ttl": "1" };
    expect((await send(streamUrl(server.url, name), { method: "PUT", headers })).status).toBe(201);
    let asked: Promise<number> | undefined;
    await freeze(server, 1_500, () => {
      asked = readOnce(server.url, name, "-1").then((answer) => answer.status);
    });
    expect(await asked).toBe(404);
  });
});

/** Sends it when the server's own code is about to be loaded: by then the command line has begun. */
const TOLD_EARLY = `import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    if (url.endsWith("/log-server/main.ts")) process.kill(process.pid, "SIGTERM");
    return next(url, context);
  },
});`;

describe("SIGTERM", () => {
  it("before anything is opened: ends it", async () => {
    const hook = `--import data:text/javascript,${encodeURIComponent(TOLD_EARLY)}`;
    const server = Server.spawn(temporaryFolder(), { env: { NODE_OPTIONS: hook } });
    expect(await server.ended()).toMatchObject({ signal: "SIGTERM", stdout: "" });
  });

  it("under load, with readers waiting: ends them, exits with 0, and nothing is lost", async () => {
    const life = new Life(temporaryFolder());
    const workload = new Workload(life, SEED + 1);
    await life.start();
    await workload.prepare();
    const { url } = life.server;
    expect((await create(url, "idle")).status).toBe(201);
    const clients = workload.run();
    const failed = clients.then(() => undefined);
    const shared = eventsUntilEnd(url, "shared");
    const idle = eventsUntilEnd(url, "idle");
    const polled = fetch(`${streamUrl(url, "idle")}?offset=now&live=long-poll`);
    await Promise.race([failed, life.more(BETWEEN)]);
    await life.stop();

    expect(await idle).toEqual([]);
    expect((await polled).status).toBe(204);
    await life.start();
    await Promise.race([failed, life.more(BETWEEN)]);
    life.stopping = true;
    await clients;
    await workload.check();
    // What a reader saw before was so, and still is (I6).
    const seen = await shared;
    const now = await readMessages(life.server.url, "shared");
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).toEqual(now.slice(0, seen.length));
    await life.stop();
  });
});

describe("two servers on one folder", () => {
  it("the second is refused, even if the first does not answer; one that was killed is in nobody's way", async () => {
    const data = temporaryFolder();
    const first = await Server.start(data);
    const refused = async (): Promise<void> => {
      const ended = await Server.spawn(data).ended();
      expect(ended).toMatchObject({ code: EXIT_FAILED, stdout: "" });
      expect(complaintsIn(ended.stderr)).toEqual([expect.stringContaining(`in use by process ${first.pid}`)]);
    };
    await refused();
    first.signal("SIGSTOP");
    await refused();
    first.signal("SIGCONT");
    expect((await create(first.url, "s")).status).toBe(201);
    expect((await append(first.url, "s", { body: "[1]" })).status).toBe(204);
    await first.kill();
    const second = await Server.start(data);
    expect(await readMessages(second.url, "s")).toEqual([1]);
  });
});
