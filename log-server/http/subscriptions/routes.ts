/** The reserved subscription APIs under `/v1/stream/__ds/` (sections 6 and 7). */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Command, CommandResult } from "../../../src/wire/command.ts";
import { bodyOf } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import { STREAM_PREFIX } from "../stream-url.ts";
import { unexpectedResult } from "../unexpected-result.ts";
import type { SubscriptionView } from "../../streams/views.ts";
import type { SubscriptionConfig } from "./config.ts";
import {
  createInput,
  invalid,
  type JsonObject,
  readJsonObject,
  requiredText,
  streamName,
  streamNames,
} from "./create-input.ts";
import { JWKS_PATH, shownStreams, streamsJson, subscriptionJson, SUBSCRIPTIONS_PATH } from "./subscription-json.ts";
import type { Secrets } from "./secrets.ts";
import { asSubscriptionError, notFound, subscriptionRejection } from "./subscription-error.ts";
import { issueToken } from "./tokens.ts";
import { resolveWebhook } from "./url-policy.ts";
import { newWakeId } from "./wake-id.ts";
import { ackCommand, authorizeWake, wakeRef } from "./wake-request.ts";

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

export function registerSubscriptionRoutes(
  server: FastifyInstance,
  context: HttpContext,
  config: SubscriptionConfig,
): void {
  const routes = new SubscriptionRoutes(context, config);
  const one = `${SUBSCRIPTIONS_PATH}/:id`;
  server.put(
    one,
    handler((request, reply) => routes.create(request, reply)),
  );
  server.get(
    one,
    handler((request, reply) => routes.show(request, reply)),
  );
  server.delete(
    one,
    handler((request, reply) => routes.delete(request, reply)),
  );
  server.post(
    `${one}/streams`,
    handler((request, reply) => routes.link(request, reply)),
  );
  server.delete(
    `${one}/streams/*`,
    handler((request, reply) => routes.unlink(request, reply)),
  );
  server.post(
    `${one}/callback`,
    handler((request, reply) => routes.callback(request, reply)),
  );
  server.post(
    `${one}/claim`,
    handler((request, reply) => routes.claim(request, reply)),
  );
  server.post(
    `${one}/ack`,
    handler((request, reply) => routes.ack(request, reply)),
  );
  server.post(
    `${one}/release`,
    handler((request, reply) => routes.release(request, reply)),
  );
  server.get(
    JWKS_PATH,
    handler((_request, reply) => routes.keys(reply)),
  );
  server.all(
    `${STREAM_PREFIX}__ds/*`,
    handler(() => Promise.reject(new HttpError("route-not-found", "there is no such control route"))),
  );
}

/** All errors in the protocol's form. */
function handler(route: Handler): Handler {
  return async (request, reply) => {
    try {
      await route(request, reply);
    } catch (error) {
      throw error instanceof HttpError ? asSubscriptionError(error) : error;
    }
  };
}

class SubscriptionRoutes {
  readonly #context: HttpContext;
  readonly #config: SubscriptionConfig;

  constructor(context: HttpContext, config: SubscriptionConfig) {
    this.#context = context;
    this.#config = config;
  }

  async create(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const secrets = this.#secrets();
    const command = createInput(this.#id(request), this.#input(request), this.#context.limits, this.#config.policy);
    if (command.delivery.kind === "webhook") {
      const address = await resolveWebhook(new URL(command.delivery.url), this.#config.policy, this.#config.resolve);
      // A name that has no address now may have one when it is needed, and is looked at again then.
      if (!address.ok && !address.error.endsWith("has no address"))
        throw new HttpError("webhook-forbidden", `webhook.url is not allowed: ${address.error}`);
    }
    const result = await this.#propose(command);
    if (result.kind !== "subscription-created") throw unexpectedResult(result);
    this.#answer(reply, result.created ? 201 : 200, this.#json(secrets, command.id));
  }

  async show(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const secrets = this.#secrets();
    await this.#context.node.barrier();
    this.#answer(reply, 200, this.#json(secrets, this.#id(request)));
  }

  /** Idempotent: what is not there is deleted. */
  async delete(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const result = await this.#context.node.propose({ kind: "subscription-delete", id: this.#id(request) });
    if (result.kind === "rejected" && result.code !== "subscription-not-found") throw subscriptionRejection(result);
    this.#context.answers.empty(reply, 204, []);
  }

  async link(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const streams = streamNames(this.#input(request)["streams"], this.#context.limits);
    if (streams.length === 0) throw invalid("streams must not be empty");
    await this.#propose({ kind: "subscription-link", id: this.#id(request), streams });
    this.#context.answers.empty(reply, 204, []);
  }

  async unlink(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    // The path's slashes may be encoded or not; the router has decoded them all.
    const { "*": path } = request.params as { readonly "*"?: string };
    await this.#propose({ kind: "subscription-unlink", id: this.#id(request), stream: streamName(path) });
    this.#context.answers.empty(reply, 204, []);
  }

  async callback(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.#acknowledge(request, reply);
  }

  async claim(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { node, limits } = this.#context;
    const { tokenSecrets } = this.#secrets();
    const id = this.#id(request);
    const worker = requiredText(this.#input(request), "worker", limits.workerNameBytesMax);
    await node.barrier();
    const { delivery, phase, hasPending } = this.#view(id);
    if (delivery.kind !== "pull-wake") throw invalid("the subscription is not delivered by pull-wake");
    // Advice for workers that poll; what they race for is decided when the claim is applied (I9).
    if (phase.kind === "idle" && !hasPending)
      throw new HttpError("nothing-pending", "the subscription has nothing pending");
    const wakeId = newWakeId(node.entropy);
    const result = await this.#propose({ kind: "subscription-claim", id, worker, wakeId });
    if (result.kind !== "subscription-claimed") throw unexpectedResult(result);
    const { generation } = result;
    this.#answer(reply, 200, {
      wake_id: result.wakeId,
      generation,
      token: issueToken(tokenSecrets[0], { subscription: id, generation }, node.clock.now()),
      streams: streamsJson(shownStreams(this.#view(id), limits.wakeStreamsMax)),
      lease_ttl_ms: result.leaseMs,
    });
  }

  async ack(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    await this.#acknowledge(request, reply);
  }

  async release(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const id = this.#id(request);
    const wake = wakeRef(this.#input(request));
    this.#authorize(request, id, wake);
    await this.#propose({ kind: "subscription-release", id, generation: wake.generation, wakeId: wake.wakeId });
    this.#context.answers.empty(reply, 204, []);
  }

  keys(reply: FastifyReply): Promise<void> {
    const { signingKey, retiredKeys } = this.#secrets();
    const body = Buffer.from(JSON.stringify({ keys: [signingKey.jwk, ...retiredKeys] }));
    this.#context.answers.bytes(
      reply,
      200,
      ["Content-Type", "application/jwk-set+json", "Cache-Control", "public, max-age=300"],
      body,
    );
    return Promise.resolve();
  }

  async #acknowledge(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const id = this.#id(request);
    const input = this.#input(request);
    const wake = wakeRef(input);
    this.#authorize(request, id, wake);
    const result = await this.#propose(ackCommand(id, wake, input, this.#context.limits));
    if (result.kind !== "subscription-acked") throw unexpectedResult(result);
    this.#answer(reply, 200, { ok: true, next_wake: result.nextWake });
  }

  #authorize(request: FastifyRequest, id: string, wake: ReturnType<typeof wakeRef>): void {
    authorizeWake(request.raw.headers, this.#secrets().tokenSecrets, this.#context.node.clock.now(), id, wake);
  }

  /** Asked for before anything is done that needs them. */
  #secrets(): Secrets {
    const { secrets } = this.#config;
    if (secrets !== undefined) return secrets;
    const message = "subscriptions of a cluster need --webhook-key-file, the same on all of its nodes";
    throw new HttpError("not-configured", message);
  }

  async #propose(command: Command): Promise<Exclude<CommandResult, { readonly kind: "rejected" }>> {
    const result = await this.#context.node.propose(command);
    if (result.kind === "rejected") throw subscriptionRejection(result);
    return result;
  }

  #view(id: string): SubscriptionView {
    const view = this.#context.node.machine.subscription(id);
    if (view === undefined) throw notFound(id);
    return view;
  }

  #json({ signingKey }: Secrets, id: string): unknown {
    return subscriptionJson(this.#view(id), signingKey, this.#context.publicUrl());
  }

  #id(request: FastifyRequest): string {
    const { id } = request.params as { readonly id: string };
    const bytes = Buffer.byteLength(id);
    if (bytes === 0 || bytes > this.#context.limits.subscriptionIdBytesMax || /\p{Cc}/u.test(id)) {
      throw invalid(
        `a subscription's id must have 1 to ${this.#context.limits.subscriptionIdBytesMax} bytes and no control characters`,
      );
    }
    return id;
  }

  #input(request: FastifyRequest): JsonObject {
    return readJsonObject(bodyOf(request), this.#context.limits);
  }

  #answer(reply: FastifyReply, status: number, body: unknown): void {
    this.#context.answers.json(reply, status, [], body);
  }
}
