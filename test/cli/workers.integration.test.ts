/** The workers of `tidemark run`, with what may become of them: they are started again, whatever holds them, and never run what is not deployed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Deployment } from "../../client/cli/run/deployment.ts";
import { Workers, type WorkersListener, type WorkerTimeouts } from "../../client/cli/run/workers.ts";
import { connect, TidemarkError, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { type Topology, topology } from "../../src/operators/index.ts";
import { shapeOf } from "../../src/runtime/app-shape.ts";
import { ROOT } from "../source-tree.ts";

const OPERATORS = pathToFileURL(join(ROOT, "src/operators/index.ts")).href;

let folder = "";
let node: RunningNode;
let client: Client;
let workers: Workers | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-workers-"));
  node = await startNode();
  client = connect(node.url);
});

afterEach(async () => {
  await workers?.stop();
  workers = undefined;
});

afterAll(async () => {
  await client.close();
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What happens, in order, and may be waited for. */
class Events {
  readonly #events: string[] = [];
  #changed = Promise.withResolvers<void>();

  note(event: string): void {
    this.#events.push(event);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Resolves once it has happened so often, to all until then. */
  async until(event: string, count = 1): Promise<readonly string[]> {
    while (this.#events.filter((other) => other.startsWith(event)).length < count) await this.#changed.promise;
    return this.#events;
  }
}

/** One worker on a module; `deployed` is what is there in its place. */
function start(
  name: string,
  text: string,
  listener: Partial<WorkersListener> = {},
  timeouts?: WorkerTimeouts,
  deployed?: Topology,
): Events {
  const file = join(folder, `${name}.ts`);
  writeFileSync(file, text);
  const events = new Events();
  const urls = [node.url.replace("http", "ws")];
  const graph = deployed?.build();
  const app = { file, version: graph?.version ?? 1, shape: graph === undefined ? [] : shapeOf(graph) };
  const settings = { ...app, urls, token: undefined, timeoutMs: 30_000, poison: "stop", commitEveryMs: 1 } as const;
  const told: WorkersListener = {
    onStart: (_worker, id) => events.note(`started ${id === undefined ? "nothing" : "a process"}`),
    onDeath: (_worker, why) => events.note(`died: ${why}`),
    onOver: (_worker, why) => events.note(`over: ${why}`),
    onStatus: () => events.note("status"),
    epoch: () => 1,
    redeploy: () => Promise.resolve(),
    ...listener,
  };
  workers = new Workers([{ ...settings, stateFolder: undefined, evidenceFolder: folder }], told, timeouts);
  return events;
}

const IMPATIENT: WorkerTimeouts = { stopMs: 1, hungMs: 60_000 };
const HELD = "setInterval(() => undefined, 1_000_000);\n";

describe("a worker is started again", () => {
  it("whose module holds something open when it ends", async () => {
    const events = start("held", `${HELD}export default 5;\n`, {}, IMPATIENT);
    expect((await events.until("started", 2)).slice(0, 3)).toEqual([
      "started a process",
      expect.stringMatching(/^died: .*held\.ts exports a number/),
      "started a process",
    ]);
  });

  it("that does not end when it is told to", async () => {
    let epoch = 1;
    // It says that it is there, and then hears nothing more.
    const text = `process.send({ kind: "status", replicas: [] }, () => { for (;;); });\nawait new Promise(() => {});\n`;
    const events = start("deaf", text, { epoch: () => epoch }, IMPATIENT);
    await events.until("status");
    workers?.restart("it is in this epoch");
    epoch = 2;
    workers?.restart("the epoch is over");
    await events.until("died: the epoch is over");
    expect(await events.until("started", 2)).toHaveLength(4);
  });

  it("that was told to end while it waited for its module, for what it was told", async () => {
    let epoch = 1;
    const text = `process.send({ kind: "status", replicas: [] });\n${HELD}await new Promise(() => {});\n`;
    const events = start("waiting", text, { epoch: () => epoch });
    await events.until("status");
    epoch = 2;
    workers?.restart("the epoch is over");
    expect((await events.until("started", 2)).at(-2)).toBe("died: the epoch is over");
  });

  it("that is not to be started again, in another epoch alone", async () => {
    let epoch = 1;
    const end = { what: "it diverged", next: "never", exitCode: 1 };
    const text = `process.send({ kind: "ended", end: ${JSON.stringify(end)} });\nawait new Promise(() => {});\n`;
    const events = start("over", text, { epoch: () => epoch }, IMPATIENT);
    await events.until("over: it diverged");
    // There is no other one that goes on.
    await expect(workers?.failed).rejects.toMatchObject({ message: "it diverged", exitCode: 1 });
    expect(await events.until("started")).toHaveLength(2);
    epoch = 2;
    workers?.restart("the epoch is over");
    await events.until("started", 2);
  });

  it("that hangs, and says so of it", async () => {
    const text = `process.send({ kind: "status", replicas: [] }, () => { for (;;); });\nawait new Promise(() => {});\n`;
    const events = start("hung", text, {}, { stopMs: 1, hungMs: 3_000 });
    await events.until("status");
    await events.until("died: nothing was heard of it for 3 s");
    await events.until("started a process", 2);
  });

  it("whose operator does not return, and names it, the task and the input's offset", async () => {
    const input = client.stream("endless-in");
    await input.create({ contentType: "application/json" });
    await input.append([{ json: 12 }, { json: 13 }, { json: 14 }]);
    const app = topology("endless");
    app
      .stream("endless-in")
      .map((value) => value, { name: "judge" })
      .to("endless-out");
    const text = `import { topology } from "${OPERATORS}";
const app = topology("endless");
const judge = (value) => { while (value === 13); return value; };
app.stream("endless-in").map(judge, { name: "judge" }).to("endless-out");
export default app;\n`;
    const deployment = new Deployment(client, app, { poison: "dead-letter" }, new AbortController().signal);
    await deployment.put();
    const epoch = (): number => deployment.epoch;
    const events = start("endless", text, { epoch }, { stopMs: 1, hungMs: 8_000 }, app);
    const where = 'task 0.0: operator "judge" does not return at endless-in, offset 1';
    expect(await events.until("died")).toContain(`died: nothing was heard of it for 8 s: ${where}`);
  });

  it.each([1, 2])("whose file has something else in it than version %d that is deployed", async (version) => {
    const app = topology("edited", { version });
    app.stream("edited-in").to("edited-out");
    const text = `import { topology } from "${OPERATORS}";
const app = topology("edited");
app.stream("edited-in").${version === 1 ? "filter(() => true)." : ""}to("edited-out");
export default app;\n`;
    const events = start("edited", text, {}, IMPATIENT, app);
    const what = version === 1 ? '"to-1" in stage 0 was "to (edited-out) <- stream-1" and is' : "its version is 1";
    expect((await events.until("died"))[1]).toContain(`edited.ts is not what is deployed any more (${what}`);
  });

  it("that could not be started", async () => {
    const { execPath } = process;
    process.execPath = join(folder, "no-node");
    try {
      const events = start("never", "", {}, IMPATIENT);
      await events.until("died: spawn ");
      process.execPath = execPath;
      expect(await events.until("started a process")).toContain("started nothing");
    } finally {
      process.execPath = execPath;
    }
  });
});

describe("what is deployed", () => {
  it("is over once somebody deployed it otherwise, or reset it, until it is put again", async () => {
    const app = topology("over");
    app.stream("over-in").to("over-out");
    const deployment = new Deployment(client, app, { poison: "stop" }, new AbortController().signal);
    await Promise.all([deployment.put(), deployment.put()]);
    await client.app("over-and-over").deploy({ version: 1, tasks: [{ task: "0.0", inputs: ["over-in"] }] });
    const first = deployment.epoch;
    expect((await client.app("over").describe()).epoch).toBe(first);
    expect(await deployment.isOver()).toBe(false);
    await client.app("over").reset();
    expect(await deployment.isOver()).toBe(true);
    await deployment.put();
    expect(deployment.epoch).toBeGreaterThan(first);
    expect(await deployment.isOver()).toBe(false);
    await client.app("over").delete();
    await expect(deployment.isOver()).rejects.toMatchObject({ code: "app-not-found" });
  });
});

it("I12: a worker of an app that is deployed otherwise by now commits nothing, and has that looked at until it was", async () => {
  for (const stream of ["newer-in", "newer-out"])
    await client.stream(stream).create({ contentType: "application/json" });
  await client.stream("newer-in").append({ json: 1 });
  await client.stream("apps/newer/commits/0.0").create();
  const tasks = [{ task: "0.0", inputs: ["newer-in"] }];
  const { epoch } = await client.app("newer").deploy({ version: 1, tasks });
  await client.app("newer").deploy({ version: 2, tasks });
  const text = `import { topology } from "${OPERATORS}";
const app = topology("newer");
app.stream("newer-in").to("newer-out");
export default app;\n`;
  const refusals = [new TidemarkError("connection-lost"), new TidemarkError("task-fenced")];
  const app = topology("newer");
  app.stream("newer-in").to("newer-out");
  const redeploy = () => Promise.reject(refusals.shift());
  const events = start("newer", text, { epoch: () => epoch, redeploy }, undefined, app);
  await expect(workers?.failed).rejects.toMatchObject({ code: "task-fenced" });
  expect(await events.until("died", 2)).toContain("died: another version of the app was deployed, or it was reset");
  expect((await client.app("newer").describe()).tasks).toMatchObject([{ commits: 0 }]);
});
