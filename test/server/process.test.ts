/** The server as a process: ready, stopped, killed, refused. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { append, createStream, readAll, ServerProcess, startServer, temporaryFolder } from "./server-process.ts";

const TOKEN = "a-token-long-enough";

describe("ready", () => {
  it("says where it serves in the first line, and nothing else on standard output", async () => {
    const { process: server, url } = await startServer(temporaryFolder());
    expect(new URL(url).hostname).toBe("127.0.0.1");
    expect((await fetch(`${url}/livez`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const verbose = (await (await fetch(`${url}/readyz?verbose`)).json()) as Record<string, unknown>;
    expect(verbose).toMatchObject({ status: "ready", progress: { phase: expect.any(String) } });
    expect(await (await fetch(`${url}/metrics`)).text()).toContain("tidemark_has_leader 1");
    const { stdout } = await server.kill("SIGTERM");
    expect(stdout).toBe(`ready ${url}\n`);
  });

  it("logs one JSON object a line, each with an event code", async () => {
    const { process: server } = await startServer(temporaryFolder());
    const { stderr } = await server.kill("SIGTERM");
    const lines = stderr.split("\n").filter((line) => line.startsWith("{"));
    const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
    expect(events).toEqual(expect.arrayContaining(["ready", "stopping", "stopped"]));
  });
});

describe("stopping", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("by %s exits with 0 and keeps the data", async (signal) => {
    const data = temporaryFolder();
    const first = await startServer(data);
    await createStream(first.url, "kept");
    await append(first.url, "kept", [1, 2, 3]);
    expect(await first.process.kill(signal)).toMatchObject({ code: 0, signal: null });
    const second = await startServer(data);
    expect(await readAll(second.url, "kept")).toEqual([1, 2, 3]);
  });

  it("ends live subscriptions instead of waiting for them", async () => {
    const { process: server, url } = await startServer(temporaryFolder());
    await createStream(url, "live");
    const subscription = await fetch(`${url}/v1/stream/live?offset=-1&live=sse`);
    const body = subscription.text().catch(() => "cut");
    expect(await server.kill("SIGTERM")).toMatchObject({ code: 0 });
    await body;
  });
});

describe("kill -9", () => {
  it("loses nothing that was answered (I5)", async () => {
    const data = temporaryFolder();
    const kept: number[] = [];
    for (let life = 0; life < 3; life += 1) {
      const { process: server, url } = await startServer(data);
      if (life === 0) await createStream(url, "kept");
      expect(await readAll(url, "kept")).toEqual(kept);
      for (let count = 0; count < 20; count += 1) {
        await append(url, "kept", [kept.length]);
        kept.push(kept.length);
      }
      expect(await server.kill("SIGKILL")).toMatchObject({ signal: "SIGKILL" });
    }
    const { url } = await startServer(data);
    expect(await readAll(url, "kept")).toEqual(kept);
  });
});

describe("a disk that fails", () => {
  const canLimit = spawnSync("prlimit", ["--version"]).status === 0;

  it.skipIf(!canLimit)("ends the server, in words, and what was answered is kept (P30)", async () => {
    const data = temporaryFolder();
    const { process: server, url } = await startServer(data);
    await createStream(url, "kept");
    await append(url, "kept", [1]);
    // From now on the kernel refuses every write to a file.
    spawnSync("prlimit", ["--pid", String(server.pid), "--fsize=1:1"]);
    await expect(append(url, "kept", [2])).rejects.toThrow(/outcome-unknown|fetch failed/);
    const { code, stderr } = await server.ended();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^tidemark: the server cannot go on: /m);
    expect(await readAll((await startServer(data)).url, "kept")).toEqual([1]);
  });
});

describe("refused at the start, in one clear line", () => {
  async function refusal(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; line: string }> {
    const { code, stdout, stderr } = await new ServerProcess(args, env).ended();
    expect(stdout).toBe("");
    const lines = stderr.split("\n").filter((line) => line.startsWith("tidemark: "));
    expect(lines, stderr).toHaveLength(1);
    return { code, line: lines[0] ?? "" };
  }

  it("a second server on the same folder", async () => {
    const data = temporaryFolder();
    const { process: first, url } = await startServer(data);
    const { code, line } = await refusal(["--data", data, "--listen", "127.0.0.1:0"]);
    expect(code).toBe(1);
    expect(line).toMatch(new RegExp(`in use by process ${first.pid}`));
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
  });

  it("a port that is taken", async () => {
    const { url } = await startServer(temporaryFolder());
    const { code, line } = await refusal(["--data", temporaryFolder(), "--listen", new URL(url).host]);
    expect(code).toBe(1);
    expect(line).toContain("is in use");
  });

  it("a disk format that this version does not know", async () => {
    const data = temporaryFolder();
    await (await startServer(data)).process.kill("SIGTERM");
    const identity = join(data, "node.json");
    writeFileSync(identity, readFileSync(identity, "utf8").replace('"version": 1', '"version": 2'));
    const { code, line } = await refusal(["--data", data]);
    expect(code).toBe(1);
    expect(line).toContain("format version 2; this server supports version 1");
  });

  it("a folder of something else", async () => {
    const data = temporaryFolder();
    writeFileSync(join(data, "thesis.txt"), "dear to someone");
    const { code, line } = await refusal(["--data", data]);
    expect(code).toBe(1);
    expect(line).toContain("thesis.txt");
  });

  it("the name of another node", async () => {
    const data = temporaryFolder();
    await (await startServer(data, "--id", "one")).process.kill("SIGTERM");
    const { code, line } = await refusal(["--data", data, "--id", "two"]);
    expect(code).toBe(1);
    expect(line).toContain('"one"');
  });

  it("every mistake of the configuration, at once", async () => {
    const { code, stdout, stderr } = await new ServerProcess(["--listen", "nowhere", "--colour", "blue"], {
      TIDEMARK_TYPO: "1",
    }).ended();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("--colour is not an option");
    expect(stderr).toContain("--listen must be HOST:PORT");
    expect(stderr).toContain("TIDEMARK_TYPO is not a known variable");
  });

  it("listening beyond this machine without a token", async () => {
    const { code, stderr } = await new ServerProcess(["--data", temporaryFolder(), "--listen", "0.0.0.0:0"]).ended();
    expect(code).toBe(2);
    expect(stderr).toContain("needs --token-file");
  });
});

describe("a token", () => {
  it("protects everything but health", async () => {
    const file = join(temporaryFolder(), "token");
    writeFileSync(file, `${TOKEN}\n`);
    const { process: server, url } = await startServer(temporaryFolder(), "--token-file", file);
    const authorization = `Bearer ${TOKEN}`;
    for (const path of ["/livez", "/readyz", "/readyz?verbose"])
      expect((await fetch(`${url}${path}`)).status).toBe(200);
    for (const path of ["/metrics", "/v1/stream/x"]) {
      expect((await fetch(`${url}${path}`)).status).toBe(401);
      expect((await fetch(`${url}${path}`, { headers: { authorization: `${authorization}x` } })).status).toBe(401);
      expect((await fetch(`${url}${path}`, { headers: { authorization } })).status).not.toBe(401);
    }
    const { stderr } = await server.kill("SIGTERM");
    expect(stderr).not.toContain(TOKEN);
  });
});
