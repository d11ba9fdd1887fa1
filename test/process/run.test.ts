/** `tidemark run`: an app in real worker processes, which are killed, against a server. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { ROOT } from "../source-tree.ts";
import { AppProcess } from "./app-process.ts";

const ASK_EVERY_MS = 100;
const OPERATORS = pathToFileURL(join(ROOT, "src/operators/index.ts")).href;

let folder = "";
let node: RunningNode;
let client: Client;
const runs: AppProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-run-"));
  node = await startNode({ dataDirectory: join(folder, "data") });
  client = connect(node.url);
});

afterAll(async () => {
  for (const run of runs) run.child.kill("SIGKILL");
  await client.close();
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(file: string, ...options: readonly string[]): AppProcess {
  const run = new AppProcess({ folder, url: node.url }, file, ...options);
  runs.push(run);
  return run;
}

function app(name: string, body: string, version = 1): string {
  const file = `${name}-${version}.ts`;
  const text = `import { topology } from "${OPERATORS}";
const app = topology("${name}", { version: ${version} });
${body}
export default app;
`;
  writeFileSync(join(folder, file), text);
  return file;
}

/** Before the app makes it, so that its records can be waited for. */
async function makeOutput(stream: string): Promise<void> {
  await client.stream(stream).create({ contentType: "application/json" });
}

/** Waits until the stream has so many. */
async function records(stream: string, count: number): Promise<{ key: string | undefined; value: unknown }[]> {
  const found: { key: string | undefined; value: unknown }[] = [];
  for await (const record of client.stream(stream).subscribe()) {
    found.push({
      key: record.key === undefined ? undefined : new TextDecoder().decode(record.key),
      value: record.json(),
    });
    if (found.length === count) break;
  }
  return found;
}

function isThere(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch {
    return false;
  }
}

/** The streams that are an app's own. */
async function own(name: string): Promise<string[]> {
  const found: string[] = [];
  for await (const stream of client.streams({ prefix: `apps/${name}/` })) found.push(stream.name);
  return found;
}

/** Asks until the answer is as it should be. */
async function eventually<T>(ask: () => Promise<T>, isSo: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (isSo(answer)) return answer;
    await setTimeout(ASK_EVERY_MS);
  }
}

const COUNTING = `app.stream("NAME-in").groupBy((value) => String(value)).count().to("NAME-out");`;

describe("tidemark run", () => {
  it("I12: each record counts once, whichever worker is killed, and in the next run, too", async () => {
    const file = app("killed", COUNTING.replaceAll("NAME", "killed"));
    const input = client.stream("killed-in");
    await input.create();
    await makeOutput("killed-out");
    const options = ["--replicas", "2", "--state", "disk", "--state-dir", join(folder, "state")];
    const run = start(file, ...options);
    await run.event("ready");
    const producer = input.producer();
    const append = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n += 1) {
        await producer.ready();
        void producer.append({ json: n % 7 });
      }
      await producer.flush();
    };
    await append(0, 300);
    await records("killed-out", 300);
    for (let kill = 0; kill < 2; kill += 1) {
      const { process: victim } = await run.event("started", kill);
      process.kill(victim as number, "SIGKILL");
      await append(300 + kill * 300, 600 + kill * 300);
      expect(await run.event("died", kill)).toMatchObject({ why: "it was ended by SIGKILL" });
      await run.event("started", 2 + kill);
    }
    await records("killed-out", 900);
    run.child.kill("SIGTERM");
    expect(await run.done).toEqual({ status: 0, err: "" });

    await append(900, 1_000);
    const next = start(file, ...options);
    const outputs = await records("killed-out", 1_000);
    next.child.kill("SIGTERM");
    expect(await next.done).toEqual({ status: 0, err: "" });
    await producer.close();
    const counts = new Map<unknown, number>();
    const expected = Array.from({ length: 1_000 }, (_, n) => {
      const count = (counts.get(n % 7) ?? 0) + 1;
      counts.set(n % 7, count);
      return { key: String(n % 7), value: count };
    });
    expect(outputs).toEqual(expected);
    expect((await client.stream("killed-out").describe()).nextOffset).toBe(1_000);
  });

  it("poison goes to dead letters, or ends it with the operator, the offset and the line", async () => {
    const body = `app.stream("poison-in").map((value) => {
  if (value === 13) throw new Error("unlucky");
  return value;
}, { name: "judge" }).to("NAME-out");`;
    await client.stream("poison-in").create();
    for (const out of ["letters-out", "stops-out"]) await makeOutput(out);
    await client.stream("poison-in").append([{ json: 12 }, { json: 13 }, { json: 14 }]);
    const letters = start(app("letters", body.replace("NAME", "letters")));
    const stops = start(app("stops", body.replace("NAME", "stops")), "--poison", "stop");
    expect((await records("letters-out", 2)).map(({ value }) => value)).toEqual([12, 14]);
    letters.child.kill("SIGINT");
    expect(await letters.done).toEqual({ status: 0, err: "" });
    for await (const letter of client.stream("apps/letters/dead").read()) {
      const headers = Object.fromEntries(
        letter.headers.map(([name, value]) => [name, new TextDecoder().decode(value)]),
      );
      expect([letter.json(), headers["tidemark-operator"], headers["tidemark-offset"]]).toEqual([13, "judge", "1"]);
    }
    expect((await client.stream("apps/letters/dead").describe()).nextOffset).toBe(1);
    const { status } = await stops.done;
    const why = 'task 0.0: operator "judge" failed at poison-in, offset 1: unlucky (stops-1.ts:4:27)';
    expect([status, stops.events.at(-1)]).toMatchObject([1, { event: "ended", why }]);
    // What was before it is committed, and why it ended is known to whoever asks later.
    expect((await records("stops-out", 1)).map(({ value }) => value)).toEqual([12]);
    const [report] = await client.app("stops").reports();
    expect(report?.tasks).toMatchObject([{ state: "poison", why, records: 1, nextOffsets: { "poison-in": 1 } }]);
  });

  it("says which operator a worker hangs in, which ends with the process that started it", async () => {
    const body = `app.stream("hung-in").keyBy(() => "all").process({
  onRecord: (_value, { timers }) => void timers.log(0),
  onTimer: () => { for (;;); },
}, { name: "waits" }).to("hung-out");`;
    await client.stream("hung-in").create();
    await client.stream("hung-in").append({ json: 1 });
    const run = start(app("hung", body));
    const { process: worker } = await run.event("started");
    const [report] = await eventually(
      () => client.app("hung").reports(),
      ([newest]) => newest?.tasks[0]?.hangs !== undefined,
    );
    expect(report?.tasks).toMatchObject([{ hangs: 'task 0.0: operator "waits" does not return in a timer' }]);
    run.child.kill("SIGKILL");
    await run.done;
    await eventually(
      () => Promise.resolve(isThere(worker as number)),
      (there) => !there,
    );
  });

  it("says for which streams it waits, as they do not exist, and when no server answers", async () => {
    const server = await startNode({ dataDirectory: join(folder, "gone") });
    const file = app("waiting", COUNTING.replaceAll("NAME", "waiting"));
    const run = new AppProcess({ folder, url: server.url }, file);
    runs.push(run);
    const why = "waits for streams that do not exist: waiting-in";
    expect(await run.event("hindered")).toMatchObject({ why });
    await server.close();
    expect(await run.event("hindered", 1)).toMatchObject({ why: expect.stringMatching(/^no server answers: /) });
    run.child.kill("SIGTERM");
    expect(await run.done).toEqual({ status: 0, err: "" });
  });

  it("tells of its replicas: metrics for Prometheus, and reports in the log", async () => {
    const input = client.stream("told-in");
    await input.create();
    await makeOutput("told-out");
    const file = app("told", COUNTING.replaceAll("NAME", "told"));
    const run = start(file, "--replicas", "2", "--metrics-listen", "127.0.0.1:0");
    const { url = "" } = await run.event("metrics");
    await run.event("ready");
    await input.append(Array.from({ length: 100 }, (_, json) => ({ json })));
    await records("told-out", 100);
    const text = await eventually(
      async () => (await fetch(url)).text(),
      (found) =>
        found.match(/^tidemark_app_records_total\{.*\} 100$/gm)?.length === 2 &&
        /^tidemark_app_commits_total\{app="told",worker="\d",outcome="committed"\} [1-9]/m.test(found),
    );
    const labels = 'app="told",task="0.0",worker="1"';
    expect(text).toContain(`tidemark_app_lag_records{${labels}} 0\n`);
    expect(text).toContain(`tidemark_app_outputs_total{${labels}} 100\n`);
    expect(text).toContain(`tidemark_app_replica_state{${labels},state="running"} 1\n`);
    expect(text).toMatch(/^tidemark_app_commit_duration_seconds_count [1-9]/m);
    expect(text).toMatch(/^tidemark_app_state_rows\{.*\} 10[1-9]$/m);
    expect((await fetch(new URL("/", url))).status).toBe(404);

    const told = await eventually(
      () => client.app("told").reports(),
      (reports) => reports.length === 2 && reports.every(({ tasks }) => tasks[0]?.records === 100),
    );
    const processes = run.events.flatMap(({ event, process: id }) => (event === "started" ? [id] : []));
    expect(new Set(told.map((report) => report.process))).toEqual(new Set(processes));
    expect(told.flatMap(({ tasks }) => tasks)).toMatchObject([
      { task: "0.0", state: "running", records: 100, nextOffsets: { "told-in": 100 } },
      { task: "0.0", state: "running", records: 100, nextOffsets: { "told-in": 100 } },
    ]);
    const { tasks } = await client.app("told").describe();
    expect(told.filter(({ replica }) => replica === tasks[0]?.committedBy)).toHaveLength(1);
    run.child.kill("SIGTERM");
    expect(await run.done).toEqual({ status: 0, err: "" });
    const ended = await client.app("told").reports();
    expect(ended.flatMap((report) => report.tasks.map(({ state }) => state))).toEqual(["stopped", "stopped"]);
  });

  it("a newer version puts out what comes from then on, and nothing again", async () => {
    const passing = (condition: string): string =>
      `app.stream("newer-in").flatMap((n) => (${condition} ? [n] : [])).to("newer-out");`;
    const input = client.stream("newer-in");
    const numbers = (from: number): { json: number }[] => Array.from({ length: 20 }, (_, n) => ({ json: from + n }));
    await input.create();
    await makeOutput("newer-out");
    await input.append(numbers(0));
    const run = start(app("newer", passing("true")));
    await records("newer-out", 20);
    const newer = start(app("newer", passing("n % 2 === 0"), 2));
    expect((await run.done).status).toBe(4);
    await input.append(numbers(20));
    const evens = Array.from({ length: 10 }, (_, n) => 20 + 2 * n);
    const outputs = (await records("newer-out", 30)).map(({ value }) => value);
    expect(outputs).toEqual([...Array.from({ length: 20 }, (_, n) => n), ...evens]);
    newer.child.kill("SIGINT");
    expect(await newer.done).toEqual({ status: 0, err: "" });
  });

  it("ends for good where the same version makes something else of what is committed, and says so to whoever asks", async () => {
    const passing = (condition: string): string =>
      app("edited", `app.stream("edited-in").flatMap((n) => (${condition} ? [n] : [])).to("edited-out");`);
    const input = client.stream("edited-in");
    await input.create();
    await makeOutput("edited-out");
    await input.append(Array.from({ length: 20 }, (_, json) => ({ json })));
    const run = start(passing("true"));
    await records("edited-out", 20);
    run.child.kill("SIGINT");
    await run.done;
    const edited = start(passing("n % 5 === 0"), "--replicas", "2", "--state", "disk", "--state-dir", "edited-state");
    const { status } = await edited.done;
    const why = expect.stringMatching(
      /^app-diverged: app "edited", task 0\.0: up to edited-in, offset 19, it makes 4 outputs, and 20 are committed\..*higher version.*apps reset edited/,
    );
    expect([status, edited.events.at(-1)]).toMatchObject([1, { event: "ended", why }]);
    expect(edited.events.filter(({ event }) => event === "started")).toHaveLength(2);
    const reports = await client.app("edited").reports();
    expect(reports.flatMap(({ tasks }) => tasks)).toContainEqual(expect.objectContaining({ state: "diverged", why }));
    expect((await client.stream("edited-out").describe()).nextOffset).toBe(20);
    // Nothing is kept of what it made: with what was deployed all goes on.
    await input.append({ json: 21 });
    const again = start(passing("true"), "--state", "disk", "--state-dir", "edited-state");
    expect((await records("edited-out", 21)).at(-1)?.value).toBe(21);
    again.child.kill("SIGINT");
    expect(await again.done).toEqual({ status: 0, err: "" });
  });

  it("ends when the app is deleted, or a newer version deployed; goes on after a reset", async () => {
    await client.stream("life-in").create();
    await makeOutput("life-out");
    await client.stream("life-in").append([{ json: 1 }, { json: 1 }]);
    const run = start(app("life", COUNTING.replaceAll("NAME", "life")));
    expect((await records("life-out", 2)).map(({ value }) => value)).toEqual([1, 2]);
    await client.app("life").reset();
    // All anew, behind what was.
    expect((await records("life-out", 4)).map(({ value }) => value)).toEqual([1, 2, 1, 2]);
    const newer = start(app("life", COUNTING.replaceAll("NAME", "life"), 2));
    expect(await run.done).toMatchObject({ status: 4, err: expect.stringMatching(/task-fenced/) });
    await newer.event("ready");
    await client.stream("life-in").append({ json: 1 });
    expect((await records("life-out", 5)).map(({ value }) => value)).toEqual([1, 2, 1, 2, 3]);
    // Of another shape it would not go on with what is counted so far; the one that is deployed is not disturbed.
    const filtering = COUNTING.replaceAll("NAME", "life").replace(".groupBy", ".filter(() => true).groupBy");
    expect(await start(app("life", filtering, 3)).done).toMatchObject({
      status: 4,
      err: expect.stringMatching(/app-changed.*reset the app first/s),
    });
    await client.app("life").delete({ deleteStreams: await own("life") });
    await client.stream("life-in").append({ json: 1 });
    expect((await newer.done).status).toBe(3);
    expect(newer.events.at(-1)).toMatchObject({ event: "ended", why: "the app was deleted" });
    // Nor does its last word make anything anew.
    expect(await own("life")).toEqual([]);
  });
});
