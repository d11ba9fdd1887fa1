/** State of tasks on disk: whose it is, and who has it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { TaskStates } from "../../client/cli/run/task-states.ts";
import { type Client, connect } from "../../client/index.ts";
import { startNode } from "../../log-server/start-node.ts";
import { assert } from "../../src/lib/assert.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { NO_ROWS } from "../../src/operators/state/totals.ts";
import { rowHash } from "../../src/record/row.ts";
import type { TaskState } from "../../src/runtime/task-state.ts";

const ROW = [utf8("key"), utf8("value")] as const;
const ONE_ROW = { digest: rowHash(...ROW), rows: 1, bytes: ROW[0].length + ROW[1].length };

it("I12: is not taken for that of another cluster's app of the same name", async () => {
  const folder = stateFolder();
  {
    const client = await aCluster();
    const states = new TaskStates("same", client, folder);
    const { store, durable } = await opened(states, client);
    store.put(...ROW);
    await durable?.flush(durable.seal(ONE_ROW));
    await states.close();
    const again = new TaskStates("same", client, folder);
    expect((await opened(again, client)).totals).toEqual(ONE_ROW);
    await again.close();
  }
  const other = await aCluster();
  const states = new TaskStates("same", other, folder);
  expect((await opened(states, other)).totals).toEqual(NO_ROWS);
  await states.close();
});

it("I12: is one worker's: another waits for who outlived the run that it belongs to", async () => {
  const folder = stateFolder();
  const client = await aCluster();
  const states = new TaskStates("same", client, folder);
  expect(() => new TaskStates("same", client, folder)).toThrow(`${folder} is in use by process ${process.pid}`);
  await states.close();
  await new TaskStates("same", client, folder).close();
});

function stateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-states-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Its app is deployed in the same epoch as any other's that is new. */
async function aCluster(): Promise<Client> {
  const node = await startNode();
  onTestFinished(() => node.close());
  const client = connect(node.url);
  onTestFinished(() => client.close());
  await client.app("same").deploy({ version: 1, tasks: [{ task: "0.0", inputs: ["in"] }] });
  return client;
}

async function opened(states: TaskStates, client: Client): Promise<TaskState> {
  const facts = await client.taskLog().task("same", "0.0");
  assert(facts !== undefined, "it is deployed");
  return states.open("0.0", facts, { anew: false, onProgress: () => undefined });
}
