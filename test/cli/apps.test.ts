/** `tidemark apps` against a whole server: what is printed, and the exit statuses. What runs an app is not here. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { appJson } from "../../client/cli/apps/app-shown.ts";
import { connect, type AppTaskDescription, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { shell } from "./shell.ts";

let node: RunningNode;
let client: Client;

beforeAll(async () => {
  node = await startNode();
  client = connect(node.url);
});

afterAll(async () => {
  await client.close();
  await node.close();
});

async function tidemark(...args: readonly string[]): Promise<{ status: number; out: string; err: string }> {
  const s = shell({ url: node.url });
  s.stdin.end();
  const status = await s.tidemark(...args);
  return { status, out: s.stdout.text, err: s.stderr.text };
}

/** What must succeed, as JSON. */
async function json(...args: readonly string[]): Promise<unknown[]> {
  const { status, out, err } = await tidemark(...args, "-o", "json");
  expect([status, err]).toEqual([0, ""]);
  return out === ""
    ? []
    : out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
}

async function deploy(app: string, version = 1): Promise<void> {
  for (const stream of ["commits/0.0", "commits/1.0", "by-word/0", "dead"])
    await client.stream(`apps/${app}/${stream}`).create();
  const tasks = [
    { task: "0.0", inputs: ["lines"] },
    { task: "1.0", inputs: [`apps/${app}/by-word/0`] },
  ];
  await client.app(app).deploy({ version, tasks, description: `app ${app}, version ${version}` });
}

async function streams(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of client.streams({ prefix })) found.push(name);
  return found;
}

describe("apps", () => {
  it("list and show", async () => {
    expect(await tidemark("apps", "list")).toEqual({ status: 0, out: "", err: "" });
    await deploy("life-a");
    await deploy("life-b", 3);
    const listed = await tidemark("apps", "list", "life-");
    expect(listed.out).toMatch(
      /^APP +VERSION +STATE +TASKS +DEPLOYED\nlife-a +1 +deployed +2 +20.*\nlife-b +3 +deployed /,
    );
    expect(await json("apps", "list", "life-b")).toMatchObject([
      { app: "life-b", version: 3, paused: false, tasks: 2 },
    ]);
    const shown = await tidemark("apps", "show", "life-b");
    expect(shown.out).toMatch(/^version +3 \(epoch \d+\)$/m);
    expect(shown.out).toMatch(/^commits +none yet$/m);
    expect(shown.out).toMatch(/^1\.0 +apps\/life-b\/by-word\/0 +- +- +- +- +0 +- +- +- +0 +- +- +- +-$/m);
    expect(shown.out).toMatch(/^dead letters +none$/m);
    expect(shown.out).toMatch(/^app life-b, version 3$/m);
    const [task] = (await json("apps", "show", "life-b")) as { tasks: object[] }[];
    expect(task?.tasks[0]).toMatchObject({
      task: "0.0",
      place: { cursor: { position: 0 }, outputs: 0 },
      chain: "0000000000000000",
      digests: [],
    });
  });

  it("keep the streams of their commits to themselves", async () => {
    await deploy("kept");
    const commits = "apps/kept/commits/0.0";
    const kept = /only tasks of the app "kept" append to "apps\/kept\/commits\/0\.0", and trim it/;
    const s = shell({ url: node.url });
    s.stdin.end("forged\n");
    expect(await s.tidemark("append", commits)).toBe(4);
    expect(s.stderr.text).toMatch(kept);
    const trimmed = await tidemark("streams", "trim", commits, "--before", "0");
    expect([trimmed.status, trimmed.err]).toEqual([4, expect.stringMatching(kept)]);
  });

  it("tell all that is known of a task as JSON, 64 bits as 16 digits", async () => {
    await deploy("known");
    const app = await client.app("known").describe();
    const [task] = app.tasks;
    const point = { records: 7, logTime: 8, state: 0xffn, outputs: 2n ** 64n - 1n };
    const written = { manifest: 4, neededFrom: 2, point, replica: "r" };
    const at = new Date(5);
    const tasks = [
      { verified: written, snapshot: written, committedAt: at, nextDue: at, digests: [{ ...point, replica: "r" }] },
    ];
    const told = JSON.parse(
      JSON.stringify(
        appJson({
          ...app,
          now: at,
          state: "running",
          missing: [],
          deadLetters: 0,
          tasks: tasks.map((more) => ({ ...(task as AppTaskDescription), ...more, replicas: [] })),
        }),
      ),
    ) as object;
    const digest = { records: 7, logTimeMs: 8, state: "00000000000000ff", outputs: "ffffffffffffffff", replica: "r" };
    const snapshot = { manifest: 4, neededFrom: 2, ...digest };
    expect(told).toMatchObject({
      tasks: [{ verified: snapshot, snapshot, committedAtMs: 5, nextDueMs: 5, digests: [digest], inputs: ["lines"] }],
    });
  });

  it("show tells what the replicas told of themselves, what they have yet to read, and which run", async () => {
    await deploy("told");
    const input = client.stream("lines");
    expect((await tidemark("apps", "show", "told")).out).toMatch(/^waits for +lines, which does not exist$/m);
    expect(await json("apps", "show", "told")).toMatchObject([{ missing: ["lines"] }]);
    await input.create({ contentType: "text/plain" });
    await input.append(["a", "b", "c", "d"]);
    const status = client.stream("apps/told/status");
    await status.create({ contentType: "application/json" });
    const counts = { records: 3, outputs: 3, recordsPerSecond: 5, outputsPerSecond: 6, pending: 9, rows: 2 };
    const more = {
      stateBytes: 2_048,
      digest: "0f",
      late: 1,
      skipped: 0,
      poisoned: 0,
      committing: true,
      disputed: false,
    };
    const replica = { task: "0.0", nextOffsets: { lines: 3 }, watermark: 86_400_000, ...counts, ...more };
    const told = (state: string, ...tasks: object[]) => {
      return { host: "h", process: 7, everyMs: 60_000, tasks: [{ ...replica, state }, ...tasks] };
    };
    await status.append([
      { key: "r1", json: told("restoring") },
      { key: "r2", json: told("running") },
      // Anybody may write there.
      { key: "r3", json: { host: 5 } },
      { key: "r4", json: null },
      { json: told("without a key") },
      { key: "r1", json: told("running", { task: "1.0", state: 5 }) },
      { key: "r0", json: told("stopped") },
    ]);
    const shown = await tidemark("apps", "show", "told");
    expect(shown.out).toMatch(/^0\.0 +lines +1 +1970-01-02T00:00:00Z +5 +6 +0 +9 +1 +0 +0 +- +- +- +-$/m);
    expect(shown.out).toMatch(/^state +running$/m);
    expect((await tidemark("apps", "list", "told")).out).toMatch(/^told +1 +running /m);
    expect(shown.out).toMatch(/^0\.0 +r1 +h:7 +running, commits +1 +5 +2 +2\.0 KiB +\d+s ago$/m);
    expect(shown.out).toMatch(/^0\.0 +r2 /m);
    expect(shown.out).not.toMatch(/r0|r3|r4|none runs|waits for/);
    const [json1] = (await json("apps", "show", "told")) as { tasks: object[] }[];
    expect(json1?.tasks).toMatchObject([
      { task: "0.0", lag: 1, replicas: [{ replica: "r1", alive: true, watermarkMs: 86_400_000 }, { replica: "r2" }] },
      { task: "1.0", replicas: [] },
    ]);
    const hangs = 'task 0.0: operator "judge" does not return at lines, offset 3';
    await status.append({ key: "r2", json: told("running", { ...replica, task: "1.0", state: "running", hangs }) });
    const hanging = await tidemark("apps", "show", "told");
    expect(hanging.out).toMatch(/^hangs +task 0\.0: operator "judge" does not return at lines, offset 3$/m);
    expect(hanging.out).toMatch(/^1\.0 +r2 +h:7 +running, HANGS, commits /m);
    await status.append(["r1", "r2"].map((key) => ({ key, json: told("stopped") })));
    await input.append("e");
    const ended = await tidemark("apps", "show", "told");
    expect(ended.out).toMatch(/^replicas +none runs$/m);
    expect(ended.out).toMatch(/^state +not running$/m);
    expect(ended.out).toMatch(/^0\.0 +lines +2 +1970-01-02T00:00:00Z +- +- /m);
    expect(ended.out).toMatch(/^0\.0 +r\d +h:7 +stopped +2 /m);
    await status.append({
      key: "r1",
      json: told("stopped", { ...replica, task: "1.0", state: "poison", why: "it failed" }),
    });
    await client.stream("apps/told/dead").create();
    await client.stream("apps/told/dead").append(["x", "y"]);
    expect((await tidemark("apps", "list", "told")).out).toMatch(/^told +1 +ended /m);
    expect(await json("apps", "list", "told")).toMatchObject([{ app: "told", state: "ended", paused: false }]);
    const last = await tidemark("apps", "show", "told");
    expect(last.out).toMatch(/^ended +it failed$/m);
    expect(last.out).toMatch(/^dead letters +2 in apps\/told\/dead$/m);
    await deploy("told", 2);
    expect((await tidemark("apps", "list", "told")).out).toMatch(/^told +2 +deployed /m);
  });

  it("pause, resume", async () => {
    await deploy("calm");
    expect((await tidemark("apps", "pause", "calm")).out).toBe("paused calm\n");
    expect(await json("apps", "pause", "calm")).toEqual([{ app: "calm", paused: true }]);
    expect((await tidemark("apps", "show", "calm")).out).toMatch(/^state +paused$/m);
    expect((await tidemark("apps", "resume", "calm")).out).toBe("resumed calm\n");
    expect((await tidemark("apps", "show", "calm")).out).toMatch(/^state +deployed$/m);
  });

  it("reset tells what it would do, and does it when told to", async () => {
    await deploy("again");
    await client.stream("again-out").create();
    const { epoch } = await client.app("again").describe();
    const asked = await tidemark("apps", "reset", "again", "--delete-stream", "again-out");
    expect(asked.out).toMatch(/^TASK +FROM +TO +OUTPUTS\n0\.0 +0 +the start +0 again\n1\.0 /);
    expect(asked.out).toContain("would delete apps/again/by-word/0\n");
    expect(asked.out).toContain("would delete again-out\n");
    expect(asked.out).toContain("nothing was changed: add --yes to do it\n");
    expect((await client.app("again").describe()).epoch).toBe(epoch);
    expect((await streams("again")).length + (await streams("apps/again/")).length).toBe(5);

    const [done] = await json("apps", "reset", "again", "--delete-stream", "again-out", "--yes");
    expect(done).toMatchObject({ app: "again", dryRun: false, tasks: [{ task: "0.0" }, { task: "1.0" }] });
    expect((await client.app("again").describe()).epoch).toBeGreaterThan(epoch);
    // What was poison once is not made good by this.
    expect([...(await streams("again")), ...(await streams("apps/again/"))]).toEqual(["apps/again/dead"]);
  });

  it("reset warns of input that is gone, and takes --dry-run for what it does by itself", async () => {
    await deploy("trimmed");
    const input = client.stream("lines");
    await input.create({ contentType: "text/plain" });
    await input.append(["a", "b", "c"]);
    expect((await tidemark("apps", "reset", "trimmed", "--dry-run")).out).not.toContain("warning");
    const { firstOffset } = await input.describe();
    await input.trim(firstOffset + 2);
    const asked = await tidemark("apps", "reset", "trimmed", "--dry-run");
    expect(asked.out).toMatch(/^warning: offsets \d+ to \d+ of lines are gone: nothing comes of them again$/m);
    expect(asked.out).toContain("nothing was changed: add --yes to do it\n");
    const [told] = await json("apps", "reset", "trimmed");
    expect(told).toMatchObject({ dryRun: true, gone: [{ stream: "lines", to: firstOffset + 2 }] });
    await input.delete();
    const missing = await tidemark("apps", "reset", "trimmed");
    expect(missing.out).toMatch(/^warning: there is no stream lines: nothing comes of what it had$/m);
    const both = await tidemark("apps", "reset", "trimmed", "--dry-run", "--yes");
    expect([both.status, both.err]).toEqual([2, expect.stringContaining("--yes")]);
  });

  it("delete takes an app's own streams along", async () => {
    await deploy("gone");
    await deploy("gone-not");
    expect((await tidemark("apps", "delete", "gone")).out).toBe("deleted gone\n");
    expect(await streams("apps/gone/")).toEqual([]);
    expect((await streams("apps/gone-not/")).length).toBe(4);
    for (const verb of ["show", "delete", "pause", "reset"]) {
      const { status, err } = await tidemark("apps", verb, "gone");
      expect([verb, status]).toEqual([verb, 3]);
      expect(err).toMatch(/\(app-not-found\)$/m);
    }
  });
});
