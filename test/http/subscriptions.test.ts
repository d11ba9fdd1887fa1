/** Subscriptions beyond the public suite: webhook retries, fencing, tokens, what outlives a restart. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HTTP_LIMITS } from "../../log-server/http/limits.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

type Notification = {
  readonly wake_id: string;
  readonly generation: number;
  readonly callback_url: string;
  readonly callback_token: string;
  readonly streams: readonly { readonly path: string; readonly tail_offset: string }[];
};

/** Answers the nth notification with the nth status and body; the last ones for all further. */
class Receiver {
  readonly notifications: Notification[] = [];
  readonly #answers: readonly (readonly [status: number, body: unknown])[];
  readonly #server: Server;
  readonly #waiting: (() => void)[] = [];

  private constructor(answers: readonly (readonly [number, unknown])[]) {
    this.#answers = answers;
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const [status, body] = this.#answers[Math.min(this.notifications.length, this.#answers.length - 1)] ?? [
          200,
          {},
        ];
        this.notifications.push(JSON.parse(Buffer.concat(chunks).toString()) as Notification);
        response.writeHead(status, status === 302 ? { location: "/elsewhere" } : {});
        response.end(JSON.stringify(body));
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
  }

  static async start(...answers: readonly (readonly [number, unknown])[]): Promise<Receiver> {
    const receiver = new Receiver(answers);
    await new Promise<void>((resolve) => {
      receiver.#server.listen(0, "127.0.0.1", resolve);
    });
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async received(count: number): Promise<Notification> {
    while (this.notifications.length < count) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    return this.notifications[count - 1] as Notification;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

const JSON_TYPE = { "content-type": "application/json" };
let server: TestServer;
let receiver: Receiver | undefined;

beforeEach(async () => {
  server = await startTestServer({ http: { ...HTTP_LIMITS, webhookRetryFirstMs: 20 } });
});

afterEach(async () => {
  await receiver?.close();
  receiver = undefined;
  await server.close();
});

function at(path: string): string {
  return `${server.url}/v1/stream/${path}`;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(at(path), {
    method,
    headers: { ...JSON_TYPE, ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

async function subscribe(url: string, more: object = {}): Promise<void> {
  const created = await call("PUT", "__ds/subscriptions/sub", {
    type: "webhook",
    pattern: "events/**",
    webhook: { url },
    ...more,
  });
  expect(created.status).toBe(201);
}

/** Resolves when the subscription looks so; it is looked at whenever something was applied. */
async function until(condition: () => boolean): Promise<void> {
  if (condition()) return;
  await new Promise<void>((resolve) => {
    const stop = server.node.onApplied(() => {
      if (!condition()) return;
      stop();
      resolve();
    });
  });
}

function acked(path: string): string | undefined {
  const link = server.node.machine
    .subscription("sub")
    ?.streams()
    .find(({ stream }) => stream === path);
  return link === undefined ? undefined : `${link.ackedOffset}/${link.tailOffset}`;
}

describe("webhooks", () => {
  it("are tried again, with backoff and a new generation, until they are delivered", async () => {
    receiver = await Receiver.start([500, {}], [302, {}], [200, { done: true }]);
    await subscribe(receiver.url);
    await call("PUT", "events/a", { n: 1 });
    const third = await receiver.received(3);
    expect(receiver.notifications.map(({ generation }) => generation)).toEqual([1, 2, 3]);
    expect(third.streams.map(({ path }) => path)).toEqual(["events/a"]);
    await until(() => acked("events/a") === "1/1");
    expect(server.node.machine.subscription("sub")).toMatchObject({ status: "active", failures: 0 });
  });

  it("are sent again for what was appended while they were under way", async () => {
    receiver = await Receiver.start([200, {}], [200, { done: true }]);
    await subscribe(receiver.url);
    await call("PUT", "events/a", { n: 1 });
    const first = await receiver.received(1);
    await call("POST", "events/a", { n: 2 });
    const done = {
      wake_id: first.wake_id,
      generation: first.generation,
      acks: first.streams.map(({ path, tail_offset }) => ({ stream: path, offset: tail_offset })),
      done: true,
    };
    const callback = first.callback_url.slice(`${server.url}/v1/stream/`.length);
    const answer = await call("POST", callback, done, { authorization: `Bearer ${first.callback_token}` });
    expect(answer).toMatchObject({ status: 200, body: { ok: true, next_wake: true } });
    await receiver.received(2);
    await until(() => acked("events/a") === "2/2");
  });

  it("are fenced: a token opens its own wake and no other", async () => {
    receiver = await Receiver.start([200, {}]);
    await subscribe(receiver.url);
    await call("PUT", "events/a", { n: 1 });
    const { wake_id, generation, callback_token } = await receiver.received(1);
    const callback = (body: object, token = callback_token) =>
      call("POST", "__ds/subscriptions/sub/callback", body, { authorization: `Bearer ${token}` });
    expect(await callback({ wake_id, generation }, "nonsense")).toMatchObject({
      status: 401,
      body: { error: { code: "TOKEN_INVALID" } },
    });
    expect(await callback({ wake_id, generation: generation + 1 })).toMatchObject({
      status: 409,
      body: { error: { code: "FENCED" } },
    });
    expect(await callback({ wake_id: "w_other", generation })).toMatchObject({
      status: 409,
      body: { error: { code: "FENCED" } },
    });
    expect(await callback({ wake_id, generation, acks: [{ stream: "events/a", offset: "x" }] })).toMatchObject({
      status: 400,
    });
    expect(acked("events/a")).toBe("0/1");
    expect(await callback({ wake_id, generation })).toMatchObject({ status: 200 });
  });
});

describe("pull-wake", () => {
  it("writes the wake event in the same step as the wake, and gives one worker the lease", async () => {
    await call("PUT", "wake", []);
    await call("PUT", "__ds/subscriptions/sub", { type: "pull-wake", pattern: "events/*", wake_stream: "wake" });
    expect(await call("POST", "__ds/subscriptions/sub/claim", { worker: "early" })).toMatchObject({ status: 409 });
    await call("PUT", "events/a", { n: 1 });
    await until(() => (server.node.machine.stream("wake")?.nextOffset ?? 0) === 1);
    const events = (await (await fetch(at("wake"))).json()) as unknown[];
    expect(events).toMatchObject([{ type: "wake", subscription_id: "sub", stream: "events/a", generation: 1 }]);
    const claims = await Promise.all(
      ["one", "two"].map((worker) => call("POST", "__ds/subscriptions/sub/claim", { worker })),
    );
    expect(claims.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    expect(claims.find(({ status }) => status === 409)?.body).toMatchObject({
      error: { code: "ALREADY_CLAIMED", generation: 1 },
    });
  });
});

describe("subscriptions", () => {
  it("are confirmed when they are the same, and refused when not", async () => {
    const body = { type: "webhook", streams: ["b", "/a/", "a"], webhook: { url: "https://192.0.2.1/" } };
    expect(await call("PUT", "__ds/subscriptions/sub", body)).toMatchObject({
      status: 400,
      body: { error: { code: "WEBHOOK_URL_REJECTED" } },
    });
    const good = { ...body, webhook: { url: "http://127.0.0.1:9/" } };
    expect((await call("PUT", "__ds/subscriptions/sub", good)).status).toBe(201);
    expect((await call("PUT", "__ds/subscriptions/sub", { ...good, streams: ["a", "b"] })).status).toBe(200);
    expect(await call("PUT", "__ds/subscriptions/sub", { ...good, streams: ["a"] })).toMatchObject({
      status: 409,
      body: { code: "subscription-exists", error: { code: "SUBSCRIPTION_ALREADY_EXISTS" } },
    });
    expect((await call("DELETE", "__ds/subscriptions/sub")).status).toBe(204);
    expect(await call("GET", "__ds/subscriptions/sub")).toMatchObject({
      status: 404,
      body: { error: { code: "SUBSCRIPTION_NOT_FOUND" } },
    });
  });
});
