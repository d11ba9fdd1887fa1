/** What reads at a node that lags, or is cut off, are answered from (W160–W163). */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ServedNode } from "./three-nodes.ts";
import { ThreeNodes } from "./three-nodes.ts";

let nodes: ThreeNodes;
let leader: ServedNode;
let lagging: ServedNode;

beforeAll(async () => {
  nodes = await ThreeNodes.started({ leaderWaitMsMax: 1_000 });
});

beforeEach(async () => {
  leader = await nodes.led();
  [lagging] = nodes.followers;
});

afterAll(() => nodes.close());

const JSON_TYPE = { "content-type": "application/json" };

async function create(name: string): Promise<void> {
  const created = await fetch(`${leader.url}/v1/streams/${name}`, { method: "PUT", headers: JSON_TYPE, body: "{}" });
  expect(created.status).toBe(201);
}

async function append(name: string): Promise<string> {
  const answer = await fetch(`${leader.url}/v1/records/${name}`, { method: "POST", headers: JSON_TYPE, body: "1" });
  expect(answer.status).toBe(200);
  return answer.headers.get("tidemark-session") ?? "";
}

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(lagging.url + path, { headers });
}

async function countOf(answer: Response): Promise<number> {
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { records: unknown[] }).records.length;
}

/** While it hears nothing from the others, nor they from it. */
async function behind<T>(work: () => Promise<T>): Promise<T> {
  for (const { name } of nodes.up) {
    if (name === lagging.name) continue;
    nodes.network.cut(name, lagging.name);
    nodes.network.cut(lagging.name, name);
  }
  try {
    return await work();
  } finally {
    nodes.network.healAll();
    await lagging.node.barrier();
  }
}

describe("a native read at a node that is behind", () => {
  it("is linearizable unless asked otherwise: it has no point, so there is no answer", async () => {
    await create("linear");
    await behind(async () => {
      await append("linear");
      const answer = await get("/v1/records/linear");
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([503, "unavailable"]);
    });
    expect(await countOf(await get("/v1/records/linear"))).toBe(1);
  });

  it("may be eventual: then it says how far behind the node may be (W162)", async () => {
    await create("eventual");
    await lagging.node.barrier();
    await behind(async () => {
      await append("eventual");
      const answer = await get("/v1/records/eventual", { "tidemark-consistency": "eventual" });
      expect(await countOf(answer)).toBe(0);
      expect(answer.headers.get("tidemark-behind")).toMatch(/^entries=\d+, silent-ms=\d+$/);
    });
  });

  it("of a session needs no leader, and is never from before what the session has seen (W161)", async () => {
    await create("session");
    const seen = await append("session");
    await lagging.node.barrier();
    const session = { "tidemark-consistency": "session" };
    await behind(async () => {
      expect(await countOf(await get("/v1/records/session", { ...session, "tidemark-session": seen }))).toBe(1);
      const later = await append("session");
      const waiting = get("/v1/records/session", { ...session, "tidemark-session": later });
      nodes.network.healAll();
      expect(await countOf(await waiting)).toBe(2);
    });
  });

  it("of a session that finds nothing looks again at a linearizable point: it may not have come here yet", async () => {
    const session = { "tidemark-consistency": "session" };
    await create("late");
    expect((await get("/v1/records/late", session)).status).toBe(200);
    expect((await get("/v1/streams/late", session)).status).toBe(200);
    expect((await get("/v1/records/never", session)).status).toBe(404);
    expect((await get("/v1/groups/never", session)).status).toBe(404);
    expect((await get("/v1/cursors/never", session)).status).toBe(404);
  });

  it("of another cluster's session is refused, and so is a level that there is not", async () => {
    const other = await get("/v1/streams", { "tidemark-session": "other.0.1" });
    expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([409, "cluster-changed"]);
    const level = await get("/v1/streams", { "tidemark-consistency": "strict" });
    expect([level.status, ((await level.json()) as { code: string }).code]).toEqual([400, "malformed-header"]);
  });
});

describe("HEAD and now", () => {
  it("are linearizable whatever is asked (W163)", async () => {
    await create("edge");
    const session = { "tidemark-consistency": "session" };
    for (let count = 1; count <= 20; count += 1) {
      await append("edge");
      const head = await fetch(`${lagging.url}/v1/stream/edge`, { method: "HEAD" });
      expect(Number(head.headers.get("stream-next-offset")?.split("_")[1])).toBe(count);
      const now = (await (await get("/v1/records/edge?offset=now", session)).json()) as { next: number };
      expect(now.next).toBe(count);
      const described = (await (await get("/v1/streams/edge", session)).json()) as { next: number };
      expect(described.next).toBe(count);
    }
  });
});
