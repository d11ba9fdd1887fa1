/**
 * A node that damage took something from, while others have it: whoever asks for it is told to try again, and finds it there
 * as soon as it was fetched, or at another node at once (W217, I13).
 */
import { afterEach, describe, expect, it } from "vitest";
import { connect } from "../../client/client.ts";
import { type ServedNode, ThreeNodes } from "./three-nodes.ts";

const HOUR_MS = 3_600_000;
const TEXTS = ["one", "two", "three"];
const LOST = TEXTS[1] as string;

let nodes: ThreeNodes;

afterEach(() => nodes.close());

/** Three records on three nodes, the second of which one of them has lost. */
async function withDamage(repairEveryMs?: number): Promise<ServedNode> {
  nodes = await ThreeNodes.started(repairEveryMs === undefined ? {} : { repairEveryMs });
  await using client = connect(nodes.leader.url);
  const stream = client.stream("s");
  await stream.create({ contentType: "text/plain" });
  for (const text of TEXTS) await stream.append(text);
  const [damaged] = nodes.followers;
  await fetch(`${damaged.url}/v1/stream/s`, { method: "HEAD" });
  nodes.damage(damaged.name, LOST);
  return damaged;
}

describe("what others may still give back", () => {
  it.each([
    ["Durable Streams", (url: string, from: string): string => `${url}/v1/stream/s?offset=${from}`],
    ["native HTTP", (url: string, from: string): string => `${url}/v1/records/s?offset=${from}`],
  ])("is refused by %s as retryable, and said when to ask again", async (_, at) => {
    const { url } = await withDamage(HOUR_MS);
    const first = await fetch(`${url}/v1/stream/s?offset=-1`);
    expect(await first.text()).toBe(TEXTS[0]);
    const answer = await fetch(at(url, first.headers.get("stream-next-offset") ?? ""));
    expect(answer.status).toBe(503);
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await answer.json()).toMatchObject({ code: "repairing", retryable: true });
  });

  it.each(["http", "ws"])("is waited for by a client that knows only this node, over %s", async (scheme) => {
    const { url } = await withDamage();
    await using client = connect(url.replace("http", scheme));
    const told: string[] = [];
    const seen: string[] = [];
    const subscription = client.stream("s").subscribe({
      onStatus: (status) => {
        if (status.kind === "disconnected") told.push(status.error.code);
      },
    });
    for await (const record of subscription) {
      seen.push(record.text());
      if (seen.length === TEXTS.length) break;
    }
    expect(seen).toEqual(TEXTS);
    expect(new Set(told)).toEqual(new Set(["repairing"]));
  });

  it("is read at another node by a client that knows several, over HTTP", async () => {
    const { url } = await withDamage(HOUR_MS);
    const others = nodes.up.filter((one) => one.url !== url);
    await using client = connect([url, ...others.map((one) => one.url)]);
    const seen: string[] = [];
    for await (const record of client.stream("s").read()) seen.push(record.text());
    expect(seen).toEqual(TEXTS);
  });
});
