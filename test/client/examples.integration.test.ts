/**
 * The numbered examples on a real node, by the SDK, as `tidemark run` runs them: what they write to the log is what the driver says that
 * they write (`test/operators/examples.test.ts` holds the driver against plain computations).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deploy } from "../../client/cli/run/deploy.ts";
import { SYSTEM_ENVIRONMENT } from "../../client/environment.ts";
import wordCount from "../../client/examples/01-word-count.ts";
import averagePerSecond from "../../client/examples/02-average-per-second.ts";
import lastValue from "../../client/examples/03-last-value.ts";
import delayedFlights from "../../client/examples/04-delayed-flights.ts";
import sessions from "../../client/examples/05-sessions.ts";
import { loadFlights } from "../../client/examples/flights.ts";
import { connect, type Client, type RecordInput } from "../../client/index.ts";
import { TopologyDriver } from "../../client/testing/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import type { Topology } from "../../src/operators/build/topology.ts";
import { APP_RUN_DEFAULTS, AppRun, openInMemory } from "../../src/runtime/app-run.ts";
import { ROOT } from "../source-tree.ts";

const MINUTE_MS = 60_000;

let node: RunningNode;
let client: Client;
const runs: AppRun[] = [];

beforeAll(async () => {
  node = await startNode();
  client = connect(node.url.replace(/^http/, "ws"));
});

afterAll(async () => {
  for (const run of runs) await run.stop();
  await client.close();
  await node.close();
});

type Input = { readonly value: unknown; readonly timestamp?: number };

/**
 * Lets the example run on what is appended to its input at once, and on the driver; afterwards `passMs` of time pass. Both must have written
 * the same, in the same order.
 */
async function expectSame(
  app: Topology,
  input: string,
  inputs: readonly Input[],
  output: string,
  passMs = 0,
): Promise<void> {
  const driver = new TopologyDriver(app);
  for (const { value, ...record } of inputs) driver.write(input, value, record);
  driver.advance(passMs);
  const expected = driver.read(output).map(({ key, value }) => [key, value]);
  expect(expected.length).toBeGreaterThan(0);

  await client.stream(input).create();
  await deploy(client, app, { poison: "stop" }, new AbortController().signal);
  const ports = { ...SYSTEM_ENVIRONMENT, openState: openInMemory };
  runs.push(new AppRun(client.taskLog(), ports, app.build(), APP_RUN_DEFAULTS));
  const records = inputs.map(({ value, ...record }): RecordInput => {
    return { ...record, ...(typeof value === "string" ? { value } : { json: value }) };
  });
  await client.stream(input).append(records);
  const found: unknown[] = [];
  for await (const record of client.stream(output).subscribe()) {
    found.push([record.keyText() ?? null, record.value === null ? null : record.json()]);
    if (found.length === expected.length) break;
  }
  expect(found).toEqual(expected);
  expect((await client.stream(output).describe()).nextOffset).toBe(expected.length);
}

/** Some wait for time to pass, which can be done together. */
describe.concurrent("on a node", () => {
  it("word count", async () => {
    const lines = ["The tide is a tide,", "is it?", "It is."];
    const inputs = lines.map((value) => ({ value }));
    await expectSame(wordCount, "lines", inputs, "word-counts");
  });

  it("average per second, of which the last is over when nothing has come for a second", async () => {
    const file = readFileSync(join(ROOT, "client/examples/02-numbers.csv"), "utf8");
    const [, ...rows] = file.trim().split("\n");
    const inputs = rows.map((row) => {
      const [time, value] = row.split(",");
      return { value: { time, value } };
    });
    await expectSame(averagePerSecond, "numbers", inputs, "averages", 3_000);
  });

  it("last value, which is cleared when its time is over", async () => {
    const inputs = [20, 21].map((celsius) => ({ value: { sensor: "a", celsius } }));
    await expectSame(lastValue, "readings", inputs, "last-values", 10_001);
  });

  it("delayed flights", async () => {
    const inputs = loadFlights()
      .slice(0, 4_000)
      .map((value) => ({ value }));
    await expectSame(delayedFlights, "flights", inputs, "delayed-flights");
  });

  it("sessions", async () => {
    const clicks = [
      ["eve", "/", 0],
      ["eve", "/b", 20],
      ["bob", "/", 25],
      ["eve", "/", 54],
      ["eve", "/a", 40],
      ["bob", "/", 200],
    ] as const;
    const inputs = clicks.map(([visitor, page, minute]) => {
      return { value: { visitor, page }, timestamp: minute * MINUTE_MS };
    });
    await expectSame(sessions, "clicks", inputs, "sessions");
  });
});
