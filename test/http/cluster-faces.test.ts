/** Every face on a node that does not lead, and over a change of the leader: nothing of it shows where a client asks. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import { ThreeNodes } from "./three-nodes.ts";

let nodes: ThreeNodes;

beforeAll(async () => {
  nodes = await ThreeNodes.started();
});

afterAll(() => nodes.close());

describe("Durable Streams at a follower", () => {
  it("creates, appends, reads and deletes, each seen by all at once", async () => {
    const [one, other] = nodes.followers;
    const name = "/v1/stream/ds";
    const created = await fetch(one.url + name, { method: "PUT", headers: { "content-type": "text/plain" } });
    expect(created.status).toBe(201);
    const appended = await fetch(other.url + name, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "x",
    });
    expect(appended.status).toBe(204);
    for (const { url } of nodes.up) {
      const head = await fetch(url + name, { method: "HEAD" });
      expect(head.headers.get("stream-next-offset")).toBe(appended.headers.get("stream-next-offset"));
      expect(await (await fetch(url + name)).text()).toBe("x");
    }
    expect((await fetch(one.url + name, { method: "DELETE" })).status).toBe(204);
    for (const { url } of nodes.up) expect((await fetch(url + name)).status).toBe(404);
  });

  it("wakes a long-poll that waits at another node", async () => {
    const [one, other] = nodes.followers;
    const name = "/v1/stream/poll";
    await fetch(one.url + name, { method: "PUT", headers: { "content-type": "text/plain" } });
    const waiting = fetch(`${other.url}${name}?offset=-1&live=long-poll`);
    await fetch(one.url + name, { method: "POST", headers: { "content-type": "text/plain" }, body: "late" });
    expect(await (await waiting).text()).toBe("late");
  });
});

describe("the SDK at a follower", () => {
  it.each(["http", "ws"])("writes, reads, lists and transacts over %s", async (scheme) => {
    const [one, other] = nodes.followers;
    await using client = connect(one.url.replace("http", scheme));
    await using elsewhere = connect(other.url.replace("http", scheme));
    const stream = client.stream(`sdk-${scheme}`);
    await stream.create({ contentType: "application/json" });
    await Promise.all(Array.from({ length: 50 }, (_, id) => stream.append({ json: { id } })));
    await client
      .transaction()
      .append(stream.name, { json: { id: 50 } })
      .setCursor(`c-${scheme}`, "1")
      .commit();
    const seen: unknown[] = [];
    for await (const record of elsewhere.stream(stream.name).read()) seen.push(record.json());
    expect(seen).toEqual(Array.from({ length: 51 }, (_, id) => ({ id })));
    expect((await client.stream(stream.name).describe())?.nextOffset).toBe(51);
    const names: string[] = [];
    for await (const { name } of elsewhere.streams({ prefix: "sdk-" })) names.push(name);
    expect(names).toContain(stream.name);
  });

  it("takes and settles as a group's worker, at one node what came at another", async () => {
    const [one, other] = nodes.followers;
    await using client = connect(one.url);
    await using worker = connect(other.url);
    await client.stream("jobs").create({ contentType: "application/json" });
    const group = client.group("workers");
    await group.create({ mode: "queue", streams: ["jobs"] });
    await client.stream("jobs").append({ json: 1 });
    const [delivery] = await worker.group("workers").takeOnce({ count: 1 });
    expect(delivery?.json()).toBe(1);
    await delivery?.ack();
    expect((await group.describe())?.lag).toBe(0);
  });
});
