/** Apps by the SDK against a real node: what is deployed, where tasks are, and what happens once however often it is said. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, TidemarkError, type Client } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { LossyTransport } from "./lossy-transport.ts";

let node: RunningNode;
let transport: LossyTransport;
let client: Client;

beforeAll(async () => {
  node = await startNode();
  transport = new LossyTransport(node.url);
  client = connect(node.url, { transport });
});

afterAll(async () => {
  await client.close();
  await node.close();
});

const TOPOLOGY = { version: 1, tasks: [{ task: "0.0", inputs: ["in"] }], description: "a topology", options: "{}" };
const START = { cursor: { position: 0, ordinal: 0, index: 0 }, outputs: 0 };

describe("an app", () => {
  it("is deployed, described, listed, paused, resumed and deleted", async () => {
    const app = client.app("life");
    const { epoch, changed } = await app.deploy(TOPOLOGY);
    expect(changed).toBe(true);
    expect(await app.deploy(TOPOLOGY)).toEqual({ epoch, changed: false });
    await app.pause();
    const { description, options } = TOPOLOGY;
    const described = await app.describe();
    expect(described).toMatchObject({ name: "life", version: 1, epoch, paused: true, description, options });
    expect(described.tasks).toMatchObject([
      { task: "0.0", inputs: ["in"], begins: [0], born: epoch, place: START, chain: 0n },
    ]);
    expect(described.createdAt.getTime()).toBeLessThanOrEqual(described.logTime.getTime());
    await app.resume();
    expect((await app.describe()).paused).toBe(false);
    await client.app("life too").deploy(TOPOLOGY);
    const listed: unknown[] = [];
    for await (const { name, tasks } of client.apps({ prefix: "life" })) listed.push([name, tasks]);
    expect(listed).toEqual([
      ["life", 1],
      ["life too", 1],
    ]);
    await app.delete();
    await expect(app.describe()).rejects.toMatchObject({ code: "app-not-found" });
    await expect(app.delete()).rejects.toMatchObject({ code: "app-not-found" });
  });

  it("begins anew together with what it wrote, or not at all", async () => {
    const app = client.app("anew");
    const { epoch } = await app.deploy(TOPOLOGY);
    await client.stream("anew-out").create();
    const dry = await app.reset({ deleteStreams: ["anew-out"], dryRun: true });
    expect(dry).toEqual({ dryRun: true, tasks: [{ task: "0.0", from: START, to: START }], gone: [], missing: ["in"] });
    expect((await app.describe()).epoch).toBe(epoch);
    await expect(app.reset({ deleteStreams: ["anew-out", "none"] })).rejects.toMatchObject({
      code: "stream-not-found",
    });
    expect((await app.describe()).epoch).toBe(epoch);
    await app.reset({ deleteStreams: ["anew-out"] });
    expect((await app.describe()).epoch).toBeGreaterThan(epoch);
    await expect(client.stream("anew-out").describe()).rejects.toMatchObject({ code: "stream-not-found" });
    await client.stream("anew-out").create();
    await app.delete({ deleteStreams: ["anew-out"] });
    await expect(client.stream("anew-out").describe()).rejects.toMatchObject({ code: "stream-not-found" });
  });

  it("tells at a reset what of its input is gone", async () => {
    const input = client.stream("lost-in");
    await input.create();
    await input.append(["a", "b", "c"]);
    const app = client.app("trimmed");
    await app.deploy({ ...TOPOLOGY, tasks: [{ task: "0.0", inputs: ["lost-in"] }] });
    expect(await app.reset({ dryRun: true })).toMatchObject({ gone: [], missing: [] });
    await input.trim(2);
    const gone = [{ stream: "lost-in", from: 0, to: 2 }];
    expect(await app.reset({ dryRun: true })).toMatchObject({ dryRun: true, gone, missing: [] });
    const start = { position: 1, ordinal: 0, index: 0 };
    const placed = await app.reset({ tasks: [{ task: "0.0", start }], dryRun: true });
    expect(placed).toMatchObject({ gone: [], missing: [] });
    expect(await app.reset()).toMatchObject({ dryRun: false, gone, missing: [] });
    expect(await app.reset()).toMatchObject({ gone: [], missing: [] });
    await input.delete();
    expect(await app.reset({ dryRun: true })).toMatchObject({ gone: [], missing: ["lost-in"] });
  });

  it("is deployed once and deleted once when an answer was lost; a reset is not done twice", async () => {
    const app = client.app("lost");
    transport.losses.push("lose-answer");
    const { epoch } = await app.deploy(TOPOLOGY);
    expect((await app.describe()).epoch).toBe(epoch);
    transport.losses.push("lose-answer");
    await expect(app.reset()).rejects.toMatchObject({ outcome: "unknown" });
    expect((await app.describe()).epoch).toBe(epoch + 1);
    transport.losses.push("lose-answer");
    await expect(app.delete()).resolves.toBeUndefined();
  });

  it("keeps the streams of its commits to itself", async () => {
    const stream = client.stream("apps/kept/commits/0.0");
    await stream.create();
    const { epoch } = await client.app("kept").deploy(TOPOLOGY);
    const refused = { code: "app-needs", outcome: "not-applied" };
    await expect(stream.append("forged")).rejects.toMatchObject(refused);
    await expect(stream.producer({ id: "p" }).append("forged")).rejects.toMatchObject(refused);
    await expect(client.transaction().append(stream.name, ["forged"]).commit()).rejects.toMatchObject(refused);
    await expect(stream.trim(0)).rejects.toMatchObject(refused);
    const by = { app: "kept", task: "0.0", epoch, replica: "r" };
    expect(await client.taskLog().say(by, { value: null })).toEqual({ ok: true });
    expect((await stream.describe()).nextOffset).toBe(1);
  });

  it("has a name of its own, and a version", async () => {
    expect(() => client.app("a/b")).toThrow(TidemarkError);
    expect(() => client.app("")).toThrow(TidemarkError);
    await expect(client.app("v").deploy({ ...TOPOLOGY, version: 0.5 })).rejects.toMatchObject({
      code: "invalid-argument",
    });
    await expect(client.app("v").deploy({ ...TOPOLOGY, tasks: [] })).rejects.toMatchObject({ code: "invalid-app" });
  });
});
