/** State of tasks on disk: whose it is, and who has it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { TaskStates } from "../../client/cli/run/task-states.ts";
import { type Client, connect } from "../../client/index.ts";
import { startNode } from "../../log-server/start-node.ts";

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
