/** An app on a real node, by the SDK: two workers, of which the one that commits is stopped, and nothing is lost or repeated (I12). */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import { connect, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { topology } from "../../src/operators/build/topology.ts";
import { APP_RUN_DEFAULTS, AppRun, openInMemory } from "../../src/runtime/app-run.ts";
import { taskSpecsOf, writtenStreamsOf } from "../../src/runtime/app-streams.ts";

let node: RunningNode;
const clients: Client[] = [];

function connected(): Client {
  const client = connect(node.url.replace(/^http/, "ws"));
  clients.push(client);
  return client;
}

beforeAll(async () => {
  node = await startNode();
});

afterAll(async () => {
  for (const client of clients) await client.close();
  await node.close();
});

/** Words of lines in two partitions, counted in two. */
function words() {
  const app = topology("words");
  app
    .stream("lines", { format: "text", partitions: 2 })
    .flatMap((line) => line.split(" "))
    .groupBy((word) => word)
    .count()
    .toStream()
    .to("counts");
  return app.build();
}

describe("an app on a node", () => {
  it("counts each word once, whoever commits", async () => {
    const graph = words();
    const client = connected();
    const inputs = ["lines/0", "lines/1"];
    for (const stream of [...inputs, ...writtenStreamsOf(graph)]) await client.stream(stream).create();
    await client.app("words").deploy({ version: 1, tasks: taskSpecsOf(graph) });
    const start = (): AppRun =>
      new AppRun(connected().taskLog(), { ...SYSTEM_ENVIRONMENT, openState: openInMemory }, graph, APP_RUN_DEFAULTS);
    const runs = [start(), start()];
    const counts: string[] = [];
    const counted = async (count: number): Promise<void> => {
      const reader = client.stream("counts").subscribe({ from: counts.length === 0 ? "start" : counts.length });
      for await (const record of reader) {
        counts.push(`${record.keyText()} ${record.text()}`);
        if (counts.length >= count) break;
      }
    };
    for (let n = 0; n < 50; n += 1) await client.stream(inputs[n % 2] as string).append("a b a");
    await counted(150);
    const { tasks } = await client.app("words").describe();
    const committing = tasks[0]?.committedBy;
    const at = runs.findIndex((run) => run.status[0]?.replica === committing);
    expect(at).toBeGreaterThanOrEqual(0);
    await runs[at]?.stop();
    for (let n = 0; n < 50; n += 1) await client.stream(inputs[n % 2] as string).append("a b a");
    await counted(300);
    const expected = [
      ...Array.from({ length: 200 }, (_, n) => `a ${n + 1}`),
      ...Array.from({ length: 100 }, (_, n) => `b ${n + 1}`),
    ];
    expect(counts.toSorted()).toEqual(expected.toSorted());
    const [left] = runs.filter((_, place) => place !== at);
    expect(left?.status.map(({ state, work }) => [state, work?.disputed])).toEqual(
      Array.from({ length: 4 }, () => ["running", false]),
    );
    await left?.stop();
  });
});
