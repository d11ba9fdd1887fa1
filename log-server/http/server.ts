/**
 * The HTTP server: which routes there are, and the bounds, time-outs and error answers that hold for all of them. It
 * does not listen by itself, and does not own the node.
 */
import type { AddressInfo } from "node:net";
import fastify, { type FastifyInstance, type FastifyPluginAsync } from "fastify";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { LogNode } from "../node/log-node.ts";
import { allowedMethods } from "./allowed-methods.ts";
import { Answers } from "./answers.ts";
import { registerAppRoutes } from "./apps/routes.ts";
import { Access, type AccessConfig } from "./auth.ts";
import { bodyParser } from "./body.ts";
import { BodyPool } from "./body-pool.ts";
import type { HttpContext } from "./context.ts";
import { registerClusterRoutes } from "./cluster/routes.ts";
import { registerCursorRoutes } from "./cursors/routes.ts";
import { answerError } from "./error-answer.ts";
import { registerGroupRoutes } from "./groups/routes.ts";
import { HttpError } from "./http-error.ts";
import { HTTP_LIMITS, type HttpLimits } from "./limits.ts";
import { LiveResponses } from "./live-responses.ts";
import { FRAMES_PATH, framesRoute } from "./native/frames-route.ts";
import { NativeRequests } from "./native/requests.ts";
import { type HttpObserver, NO_HTTP_OBSERVER } from "./observer.ts";
import { openApiRoute, registerOpenApi } from "./openapi/document.ts";
import { RECORDS_PREFIX, registerRecordRoutes } from "./records/routes.ts";
import { answerSocketError } from "./socket-errors.ts";
import { appendRoute } from "./stream-routes/append.ts";
import { createRoute } from "./stream-routes/create.ts";
import { deleteRoute } from "./stream-routes/delete.ts";
import { headRoute } from "./stream-routes/head.ts";
import { ReadAhead } from "./stream-routes/read-ahead.ts";
import { readRoute } from "./stream-routes/read.ts";
import { STREAM_PREFIX, streamBehind } from "./stream-url.ts";
import { registerStreamRoutes, STREAMS_PREFIX, TRIM_PREFIX } from "./streams/routes.ts";
import type { SubscriptionConfig } from "./subscriptions/config.ts";
import { registerSubscriptionRoutes } from "./subscriptions/routes.ts";
import { registerTransactionRoutes } from "./transactions/routes.ts";
import { registerVerifyRoutes } from "./verify/routes.ts";
import { WakeLoop } from "./subscriptions/wake-loop.ts";

export type HttpServerOptions = {
  readonly node: LogNode;
  readonly access: AccessConfig;
  readonly subscriptions: SubscriptionConfig;
  readonly limits?: HttpLimits;
  readonly zstd?: Zstd;
  readonly observer?: HttpObserver;
  /** Where clients and webhook handlers reach this server, if not where it listens. No trailing slash. */
  readonly publicUrl?: string;
  /** Further routes, under the same access rules and bounds: health, metrics. */
  readonly plugins?: readonly FastifyPluginAsync[];
  /** A face that takes connections over at one path, under the same access rules. */
  readonly upgrade?: UpgradeFace;
};

export type UpgradeFace = {
  readonly path: string;
  readonly plugin: (requests: NativeRequests) => FastifyPluginAsync;
};

/** What stands before a stream's name. */
const NAMED = [STREAM_PREFIX, RECORDS_PREFIX, STREAMS_PREFIX, TRIM_PREFIX];

/** The longest parameter in a URL: a stream's path below a subscription. */
const PARAMETER_LENGTH_MAX = 4_096;

/** Ready to `listen`. Closing it ends live answers first, so that it is prompt; the node is stopped after it. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { node, limits = HTTP_LIMITS, observer = NO_HTTP_OBSERVER } = options;
  const access = new Access(options.access);
  const answers = new Answers(node, access.crossOrigin);
  const live = new LiveResponses(node, observer, limits.liveResponsesMax);
  const server = fastify({
    exposeHeadRoutes: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    // Requests that arrive while closing are answered like any other; the node says when it takes no more.
    return503OnClosing: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    http: {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: limits.timeoutCheckEveryMs,
      // Elsewhere an upgrade is a wish that is not granted, and the request one like any other.
      shouldUpgradeCallback: ({ url }) => isUpgradePath(options.upgrade, url),
    },
    frameworkErrors: (error, request, reply) =>
      answerError(answers, observer, reply, nameError(request.raw.url ?? "") ?? error),
    clientErrorHandler: (error, socket) => answerSocketError(error, socket),
  });
  server.server.maxConnections = limits.connectionsMax;
  const publicUrl = (host?: string): string =>
    options.publicUrl ?? (host === undefined ? urlOf(server.server.address()) : `http://${host}`);
  const bodies = new BodyPool(limits);
  const ahead = new ReadAhead(limits.readsAheadMax);
  const context: HttpContext = { node, limits, zstd: options.zstd, observer, answers, bodies, ahead, live, publicUrl };

  server.addHook("onRequest", ({ raw: request }, reply, done) => {
    // Whoever wants to upgrade and is refused is heard no more: nothing reads from such a connection.
    if (request.headers.upgrade !== undefined && isUpgradePath(options.upgrade, request.url))
      reply.raw.once("finish", () => reply.raw.socket?.end());
    done(access.refusal(request));
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", bodyParser(limits));
  server.setErrorHandler((error, _request, reply) => answerError(answers, observer, reply, error));
  server.setNotFoundHandler((request, reply) => answerError(answers, observer, reply, notFound(request.raw.url ?? "")));

  // Told of the routes behind it, which therefore wait until it is ready.
  registerOpenApi(server);
  server.register((scope, _options, done) => {
    registerRoutes(scope, context, options);
    done();
  });

  const wakes = new WakeLoop(context, options.subscriptions);
  let cutOff: NodeJS.Timeout | undefined;
  server.addHook("onListen", (done) => {
    wakes.start();
    done();
  });
  server.addHook("preClose", (done) => {
    wakes.stop();
    live.close();
    cutOff = setTimeout(() => server.server.closeAllConnections(), limits.closeGraceMs);
    done();
  });
  server.addHook("onClose", async () => {
    clearTimeout(cutOff);
    await ahead.close();
  });
  return server;
}

function registerRoutes(server: FastifyInstance, context: HttpContext, options: HttpServerOptions): void {
  registerSubscriptionRoutes(server, context, options.subscriptions);
  const streams = `${STREAM_PREFIX}*`;
  server.put(streams, createRoute(context));
  server.post(streams, appendRoute(context));
  server.get(streams, readRoute(context));
  server.head(streams, headRoute(context));
  server.delete(streams, deleteRoute(context));
  server.options("/v1/*", (_request, reply) => context.answers.preflight(reply));
  const requests = new NativeRequests(context);
  server.post(FRAMES_PATH, framesRoute(context, requests));
  openApiRoute(server, context);
  registerRecordRoutes(server, context);
  registerStreamRoutes(server, context);
  registerVerifyRoutes(server, context);
  registerTransactionRoutes(server, context);
  registerCursorRoutes(server, context);
  registerGroupRoutes(server, context);
  registerAppRoutes(server, context);
  registerClusterRoutes(server, context);
  if (options.upgrade !== undefined) {
    server.register(options.upgrade.plugin(requests));
  }
  for (const plugin of options.plugins ?? []) server.register(plugin);
}

/** The router refuses some stream names before we see them; what is wrong with them is ours to say. */
function nameError(url: string): HttpError | undefined {
  const prefix = NAMED.find((known) => url.startsWith(known));
  if (prefix === undefined) return undefined;
  try {
    streamBehind(prefix, url, url.length);
    return undefined;
  } catch (error) {
    return error instanceof HttpError ? error : undefined;
  }
}

function notFound(url: string): HttpError {
  const allowed = allowedMethods(url);
  return allowed === undefined
    ? new HttpError("route-not-found", "nothing is served at this path")
    : new HttpError("method-not-allowed", `the methods here are ${allowed}`, ["Allow", allowed]);
}

function isUpgradePath(face: UpgradeFace | undefined, url: string | undefined): boolean {
  return face !== undefined && url?.split("?", 1)[0] === face.path;
}

function urlOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === "string") return "http://localhost";
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}
