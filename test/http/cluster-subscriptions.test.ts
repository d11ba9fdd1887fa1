/**
 * Subscriptions of a cluster: what one node has signed another knows, for the key is configured on each; and a node that was
 * told of none says so.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ThreeNodes } from "./three-nodes.ts";

const JSON_TYPE = { "content-type": "application/json" };
const SUBSCRIPTION = "/v1/stream/__ds/subscriptions/sub";

type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };
type Wake = {
  readonly wake_id: string;
  readonly generation: number;
  readonly callback_token: string;
  readonly streams: readonly { readonly path: string; readonly tail_offset: string }[];
};

let nodes: ThreeNodes;

beforeAll(async () => {
  nodes = await ThreeNodes.started();
});

afterAll(() => nodes.close());

async function call(method: string, url: string, body?: unknown, token?: string): Promise<Answer> {
  const answer = await fetch(url, {
    method,
    headers: { ...JSON_TYPE, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? {} : (JSON.parse(text) as Answer["body"]) };
}

/** The first wake that is sent to it; answered, and not acknowledged. */
async function receiver(): Promise<{
  readonly url: string;
  readonly woken: Promise<Wake>;
  readonly close: () => void;
}> {
  const { promise: woken, resolve } = Promise.withResolvers<Wake>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      response.end("{}");
      resolve(JSON.parse(Buffer.concat(chunks).toString()) as Wake);
    });
  });
  await new Promise<void>((listening) => {
    server.listen(0, "127.0.0.1", listening);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    woken,
    close: () => void server.close(),
  };
}

it("a callback is taken at a node that did not send the webhook, and the keys are the same everywhere", async () => {
  const hook = await receiver();
  const [one, other] = nodes.followers;
  const webhook = { type: "webhook", pattern: "events/**", webhook: { url: hook.url } };
  expect((await call("PUT", one.url + SUBSCRIPTION, webhook)).status).toBe(201);
  await call("PUT", `${one.url}/v1/stream/events/a`);
  await call("POST", `${other.url}/v1/stream/events/a`, [1]);
  const { wake_id, generation, callback_token, streams } = await hook.woken;
  const acks = streams.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset }));
  const answer = { wake_id, generation, acks, done: true };
  expect(await call("POST", `${other.url}${SUBSCRIPTION}/callback`, answer, `${callback_token}x`)).toMatchObject({
    status: 401,
  });
  expect(await call("POST", `${other.url}${SUBSCRIPTION}/callback`, answer, callback_token)).toMatchObject({
    status: 200,
    body: { ok: true },
  });
  hook.close();
  const keys = await Promise.all(
    nodes.up.map(({ url }) => call("GET", `${url}/v1/stream/__ds/jwks.json`).then(({ body }) => JSON.stringify(body))),
  );
  expect(new Set(keys).size).toBe(1);
});

it("a node that was told of no key says what it lacks, and does all else", async () => {
  const [{ name }] = nodes.followers;
  await nodes.stop(name);
  const { url } = await nodes.start(name, {}, false);
  const pull = { type: "pull-wake", pattern: "events/**", wake_stream: "wakes" };
  for (const answer of [
    await call("PUT", `${url}/v1/stream/__ds/subscriptions/another`, pull),
    await call("POST", `${url}${SUBSCRIPTION}/claim`, { worker: "w" }),
    await call("GET", `${url}/v1/stream/__ds/jwks.json`),
  ]) {
    expect(answer).toMatchObject({ status: 501, body: { code: "not-configured" } });
    expect(answer.body["detail"]).toContain("--webhook-key-file");
  }
  expect((await call("POST", `${url}/v1/stream/events/a`, [2])).status).toBe(204);
  expect((await call("DELETE", url + SUBSCRIPTION)).status).toBe(204);
});
