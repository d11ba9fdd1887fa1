/** A server inside a process, as users' tests have it; and what answers while a log is being opened. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { connect } from "../../client/index.ts";
import { startNode } from "../../log-server/index.ts";
import { Health } from "../../log-server/observe/health.ts";
import { StartupServer } from "../../log-server/startup-server.ts";
import { temporaryFolder } from "./server-process.ts";

describe("startNode", () => {
  it("serves from a temporary folder, and leaves nothing behind", async () => {
    let folder: string;
    {
      await using node = await startNode();
      folder = node.dataDirectory;
      await using client = connect(node.url);
      const stream = client.stream("in/process");
      await stream.create();
      expect(await stream.append({ value: "one" })).toMatchObject({ offset: 0 });
      expect(existsSync(folder)).toBe(true);
    }
    expect(existsSync(folder)).toBe(false);
  });

  it("keeps what is in a folder of yours", async () => {
    const dataDirectory = temporaryFolder();
    const names: string[] = [];
    for (const payload of ["first", "second"]) {
      await using node = await startNode({ dataDirectory, segmentBytes: 1024 * 1024 });
      names.push(node.nodeName);
      await using client = connect(node.url);
      await client.stream("kept").create();
      await client.stream("kept").append({ value: payload });
    }
    expect(names[0]).toBe(names[1]);
    await using node = await startNode({ dataDirectory, segmentBytes: 1024 * 1024 });
    await using client = connect(node.url);
    const read: string[] = [];
    for await (const record of client.stream("kept").read()) read.push(record.text());
    expect(read).toEqual(["first", "second"]);
  });

  it("runs several side by side", async () => {
    await using one = await startNode({ nodeName: "one" });
    await using two = await startNode({ nodeName: "two" });
    expect(one.url).not.toBe(two.url);
    expect([one.nodeName, two.nodeName]).toEqual(["one", "two"]);
  });

  it("asks for the token it was given", async () => {
    const token = "a-token-long-enough";
    await using node = await startNode({ token });
    expect((await fetch(`${node.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${node.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  });

  it("closes once, however often it is asked", async () => {
    const events: string[] = [];
    const node = await startNode({ onEvent: (code) => events.push(code) });
    expect(events).toContain("ready");
    await Promise.all([node.close(), node.close()]);
    await node.close();
  });

  it("keeps its secrets to its user", async () => {
    await using node = await startNode();
    expect(statSync(join(node.dataDirectory, "secrets", "webhook-signing-key.pem")).mode & 0o077).toBe(0);
  });

  it.each([
    [{ listen: "0.0.0.0:0" }, "needs --token-file"],
    [{ listen: "nowhere" }, "must be HOST:PORT"],
    [{ token: "short" }, "token must be"],
    [{ dataDirectory: "/dev/null/x" }, "is a file, or below one"],
  ])("says why it cannot: %j", async (options, why) => {
    await expect(startNode(options)).rejects.toThrow(why);
  });
});

describe("while the log is being opened", () => {
  const progress = { phase: "scan", done: 1, total: 4, rate: 1, etaSeconds: 3 };

  it("is live, not ready, and says how far it is", async () => {
    const health = new Health({ status: () => undefined, progress: () => progress, draining: () => false });
    const server = await StartupServer.listen({ host: "127.0.0.1", port: 0 }, health);
    const url = `http://127.0.0.1:${server.address.port}`;
    try {
      expect((await fetch(`${url}/livez`)).status).toBe(200);
      const ready = await fetch(`${url}/readyz?verbose`);
      expect({ status: ready.status, body: await ready.json() }).toMatchObject({ status: 503, body: { progress } });
      const append = await fetch(`${url}/v1/stream/x`, { method: "POST", body: "x" });
      expect(append.status).toBe(503);
      expect(append.headers.get("retry-after")).not.toBeNull();
      expect(await append.json()).toMatchObject({ code: "unavailable", retryable: true });
    } finally {
      await server.close();
    }
    await expect(fetch(`${url}/livez`)).rejects.toThrow();
  });
});
