/** A node that an operator has drained ends what waits there and refuses more of it, while all else goes on (W109). */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ThreeNodes } from "./three-nodes.ts";

let nodes: ThreeNodes;
let url: string;

beforeEach(async () => {
  nodes = await ThreeNodes.started();
  url = nodes.leader.url;
  await fetch(`${url}/v1/stream/s`, { method: "PUT", headers: { "content-type": "text/plain" } });
});

afterEach(() => nodes.close());

async function drain(undo: boolean): Promise<void> {
  const served = nodes.up.find((one) => one.url === url);
  await served?.node.changeCluster({ kind: "drain", node: served.name, undo });
}

async function waiting(count: number): Promise<void> {
  const node = nodes.up.find((one) => one.url === url)?.node;
  while (node?.status().waitingReaders !== count) await new Promise((resolve) => setImmediate(resolve));
}

describe("a node that is drained", () => {
  it("ends long-polls and events with their places, and leads no more", async () => {
    const poll = fetch(`${url}/v1/stream/s?offset=now&live=long-poll`);
    const events = fetch(`${url}/v1/stream/s?offset=now&live=sse`).then((response) => response.text());
    await waiting(2);
    await drain(false);
    expect((await poll).status).toBe(204);
    expect(await events).toContain("streamNextOffset");
    expect(nodes.up.find((one) => one.url === url)?.node.leads).toBe(false);
  });

  it("refuses what would wait, serves all else, and waits again once that is undone", async () => {
    await drain(false);
    for (const live of ["long-poll", "sse"]) {
      const refused = await fetch(`${url}/v1/stream/s?offset=now&live=${live}`);
      expect(refused.status).toBe(503);
      expect(await refused.json()).toMatchObject({ code: "unavailable", retryable: true });
    }
    const appended = await fetch(`${url}/v1/stream/s`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "x",
    });
    expect(appended.ok).toBe(true);
    expect(await (await fetch(`${url}/v1/stream/s?offset=-1`)).text()).toBe("x");
    await drain(true);
    const poll = fetch(`${url}/v1/stream/s?offset=now&live=long-poll`);
    await waiting(1);
    await fetch(`${url}/v1/stream/s`, { method: "POST", headers: { "content-type": "text/plain" }, body: "y" });
    expect(await (await poll).text()).toBe("y");
  });
});
