/** Apps over native HTTP: what somebody with curl can do, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TaskCommitCommand } from "../../src/wire/app-command.ts";
import { type Answer, ask as askAt, expectProblem } from "./native.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.close());

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  return askAt(server.url, method, path, body);
}

const TOPOLOGY = {
  version: 1,
  tasks: ["0.0", "1.0"].map((task) => ({ task, inputs: ["in"] })),
  description: "a topology",
  options: '{"poison":"stop"}',
  shape: [{ stage: 0, name: "counts", text: "aggregate (count)" }],
};
const START = { cursor: { position: 0, ordinal: 0, index: 0 }, outputs: 0 };
const PLACE = { cursor: { position: 1, ordinal: 0, index: 2 }, outputs: 3 };

async function deployed(app: string): Promise<number> {
  const answer = await ask("PUT", `/v1/apps/${app}`, TOPOLOGY);
  expect(answer.status).toBe(201);
  return answer.body.epoch as number;
}

function commit(app: string, epoch: number): TaskCommitCommand {
  const digests = [{ records: 3, logTime: 9, state: 0xabcn, outputs: 1n }];
  const who = { app, task: "0.0", epoch, replica: "r" };
  return { kind: "task-commit", ...who, from: START, to: PLACE, chain: 2n ** 63n, digests, nextDue: 7 };
}

describe("apps", () => {
  it("are deployed once, shown, listed and deleted", async () => {
    const made = await ask("PUT", "/v1/apps/whole%20app", TOPOLOGY);
    expect(made.status).toBe(201);
    const { description, options, shape } = TOPOLOGY;
    expect(made.body).toMatchObject({ app: "whole app", version: 1, state: "running", description, options, shape });
    expect(made.body.tasks).toMatchObject([
      {
        task: "0.0",
        inputs: ["in"],
        begins: [0],
        place: START,
        start: START.cursor,
        chain: "0".repeat(16),
        commits: 0,
        digests: [],
      },
      { task: "1.0" },
    ]);
    expect((await ask("PUT", "/v1/apps/whole%20app", TOPOLOGY)).status).toBe(200);
    expectProblem(await ask("PUT", "/v1/apps/whole%20app", { ...TOPOLOGY, options: "" }), "app-exists");
    const second = await ask("PUT", "/v1/apps/whole%20app", { ...TOPOLOGY, version: 2 });
    expect(second.status).toBe(201);
    expect(second.body.epoch).toBeGreaterThan(made.body.epoch as number);
    expectProblem(await ask("PUT", "/v1/apps/whole%20app", TOPOLOGY), "task-fenced");
    await deployed("whole");
    await deployed("x");
    const first = await ask("GET", "/v1/apps?prefix=whole&limit=1");
    expect(first.body).toMatchObject({ apps: [{ app: "whole", tasks: 2 }], next: "whole" });
    const rest = await ask("GET", "/v1/apps?prefix=whole&limit=1&after=whole");
    expect(rest.body).toMatchObject({ apps: [{ app: "whole app", version: 2 }] });
    expect(rest.body).not.toHaveProperty("next");
    expect((await ask("DELETE", "/v1/apps/whole")).status).toBe(204);
    expectProblem(await ask("GET", "/v1/apps/whole"), "app-not-found");
    expectProblem(await ask("DELETE", "/v1/apps/whole"), "app-not-found");
  });

  it("show where their tasks are, what they must have had there, and what they wait for", async () => {
    const epoch = await deployed("shown");
    expect(await server.node.propose(commit("shown", epoch))).toEqual({ kind: "done" });
    const { tasks } = (await ask("GET", "/v1/apps/shown")).body;
    expect(tasks[0]).toMatchObject({
      place: PLACE,
      chain: "8000000000000000",
      commits: 1,
      committedBy: "r",
      nextDueMs: 7,
      digests: [{ records: 3, logTimeMs: 9, state: "0000000000000abc", outputs: "0000000000000001", replica: "r" }],
    });
    expect(tasks[0].committedAtMs).toBeGreaterThan(0);
  });

  it("are paused and go on", async () => {
    const epoch = await deployed("paused");
    expect((await ask("POST", "/v1/apps/paused/pause")).status).toBe(204);
    expect((await ask("GET", "/v1/apps/paused")).body.state).toBe("paused");
    expect(await server.node.propose(commit("paused", epoch))).toMatchObject({ code: "app-paused" });
    expect((await ask("POST", "/v1/apps/paused/resume")).status).toBe(204);
    expect(await server.node.propose(commit("paused", epoch))).toEqual({ kind: "done" });
    expectProblem(await ask("POST", "/v1/apps/none/pause"), "app-not-found");
  });

  it("begin anew, with what they wrote; a dry run only says so", async () => {
    const epoch = await deployed("anew");
    await server.node.propose(commit("anew", epoch));
    expect((await ask("PUT", "/v1/streams/anew-out", {})).status).toBe(201);
    const reset = { deleteStreams: ["anew-out"] };
    const dry = await ask("POST", "/v1/apps/anew/reset", { ...reset, dryRun: true });
    expect(dry.body).toEqual({
      dryRun: true,
      tasks: [
        { task: "0.0", from: PLACE, to: START },
        { task: "1.0", from: START, to: START },
      ],
      deletedStreams: ["anew-out"],
      gone: [],
      missing: ["in"],
    });
    expect((await ask("GET", "/v1/apps/anew")).body).toMatchObject({ epoch, tasks: [{ place: PLACE }, {}] });
    expectProblem(await ask("POST", "/v1/apps/anew/reset", { deleteStreams: ["none"] }), "stream-not-found");
    expectProblem(await ask("POST", "/v1/apps/anew/reset", { tasks: [{ task: "9.9" }] }), "app-not-found");
    const start = { position: 1, ordinal: 0, index: 1 };
    const done = await ask("POST", "/v1/apps/anew/reset", { ...reset, tasks: [{ task: "0.0", start }] });
    expect(done.body.tasks).toEqual([{ task: "0.0", from: PLACE, to: { cursor: start, outputs: 0 } }]);
    const now = (await ask("GET", "/v1/apps/anew")).body;
    expect(now.epoch).toBeGreaterThan(epoch);
    expect(now.tasks[0]).toMatchObject({ start, place: { cursor: start, outputs: 0 }, born: now.epoch, commits: 0 });
    expectProblem(await ask("GET", "/v1/streams/anew-out"), "stream-not-found");
  });

  it("begin anew, and tell what of their input nobody reads again (W209)", async () => {
    const stream = "/v1/streams/lost-in";
    expect((await ask("PUT", stream, {})).status).toBe(201);
    expect((await ask("POST", "/v1/records/lost-in", [1, 2, 3])).status).toBe(200);
    const tasks = ["0.0", "1.0"].map((task) => ({ task, inputs: ["lost-in"] }));
    expect((await ask("PUT", "/v1/apps/lost", { ...TOPOLOGY, tasks })).status).toBe(201);
    const reset = async (body: object): Promise<unknown> => {
      const { gone, missing } = (await ask("POST", "/v1/apps/lost/reset", body)).body;
      return { gone, missing };
    };
    expect(await reset({ dryRun: true })).toEqual({ gone: [], missing: [] });
    expect((await ask("POST", "/v1/trim/lost-in", { before: 2 })).status).toBe(200);
    const gone = [{ stream: "lost-in", from: 0, to: 2 }];
    expect(await reset({ dryRun: true })).toEqual({ gone, missing: [] });
    const start = { position: 1, ordinal: 0, index: 0 };
    expect(await reset({ tasks: [{ task: "0.0", start }], dryRun: true })).toEqual({ gone: [], missing: [] });
    expect(await reset({ tasks: [{ task: "1.0", start: START.cursor }] })).toEqual({ gone, missing: [] });
    expect(await reset({ tasks: [{ task: "1.0" }], dryRun: true })).toEqual({ gone: [], missing: [] });
    expect((await ask("DELETE", stream)).status).toBe(204);
    expect(await reset({})).toEqual({ gone: [], missing: ["lost-in"] });
  });

  it("keep the streams of their commits to themselves (W219)", async () => {
    const commits = "apps/kept/commits/0.0";
    await deployed("kept");
    expect((await ask("PUT", `/v1/streams/${commits}`, { contentType: "application/json" })).status).toBe(201);
    expectProblem(await ask("POST", `/v1/records/${commits}`, ["forged"]), "app-needs");
    expectProblem(await ask("POST", `/v1/records/${commits}?producer=p&epoch=0&sequence=0`, ["forged"]), "app-needs");
    expectProblem(await ask("POST", `/v1/trim/${commits}`, { before: 0 }), "app-needs");
    expectProblem(await ask("POST", `/v1/stream/${commits}`, '"forged"'), "app-needs");
    expect((await ask("GET", `/v1/streams/${commits}`)).body).toMatchObject({ next: 0 });
  });

  it.each<[string, string, string, unknown, number]>([
    ["without tasks", "PUT", "/v1/apps/bad", { version: 1, tasks: [] }, 400],
    ["of a name with a slash", "PUT", "/v1/apps/a%2Fb", TOPOLOGY, 400],
    ["with a key that is not known", "PUT", "/v1/apps/bad", { ...TOPOLOGY, more: 1 }, 400],
    ["with a version that is no whole number", "PUT", "/v1/apps/bad", { ...TOPOLOGY, version: 1.5 }, 400],
    [
      "that are to begin where the log is not",
      "POST",
      "/v1/apps/there/reset",
      { tasks: [{ task: "0.0", start: { position: 1e9, ordinal: 0, index: 0 } }] },
      400,
    ],
    ["that are to begin nowhere", "POST", "/v1/apps/there/reset", { tasks: [] }, 400],
    ["by another method", "PATCH", "/v1/apps/there", {}, 405],
    ["by a verb that is none", "POST", "/v1/apps/there/stop", {}, 404],
  ])("are refused %s", async (_what, method, path, body, status) => {
    await ask("PUT", "/v1/apps/there", TOPOLOGY);
    expect((await ask(method, path, body)).status).toBe(status);
  });
});
