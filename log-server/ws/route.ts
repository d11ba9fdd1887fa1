/**
 * `GET /v1/ws`: where connections begin and, when the server stops or the node is drained, end. Access is decided by the server's hook before
 * anything here is asked; a browser, which cannot set headers, brings its token as a subprotocol (W103).
 */
import websocket from "@fastify/websocket";
import { NodeError } from "../node/node-error.ts";
import { CLOSE, closeReason } from "./close-code.ts";
import { Connection, type Socket } from "./connection.ts";
import { WS_LIMITS, type WsLimits } from "./limits.ts";
import type { WsContext } from "./ports.ts";

export const WS_PATH = "/v1/ws";
const SUBPROTOCOL = "tidemark.v1";

/** What the server hands to its plugins. */
type Server = Parameters<typeof websocket>[0];

export type WsOptions = Omit<WsContext, "limits" | "clock"> & { readonly limits?: WsLimits };

export function wsRoute(options: WsOptions): (server: Server) => Promise<void> {
  const { node, requests, observer, zstd, limits = WS_LIMITS } = options;
  const context: WsContext = { node, requests, observer, zstd, limits, clock: node.clock };
  const open = new Map<Socket, Connection>();
  let stopping = false;

  const checks = (): void => {
    for (const connection of open.values()) connection.check();
    timer = node.clock.schedule(limits.checkEveryMs, checks);
  };
  let timer = node.clock.schedule(limits.checkEveryMs, checks);
  const stopAll = async (why: string): Promise<void> => {
    await Promise.all([...open.values()].map((connection) => connection.stop(why)));
  };
  const stopHearing = node.drain.onBegin(() => void stopAll("the node is drained"));

  const accept = (socket: Socket): void => {
    const leaves = stopping || node.drain.on;
    if (leaves || open.size >= limits.connectionsMax) {
      const [code, why] = leaves ? [CLOSE.goingAway, "no new connections"] : [CLOSE.tryAgainLater, "no room"];
      socket.close(code, closeReason(why));
      return;
    }
    const connection = new Connection(context, socket);
    open.set(socket, connection);
    void connection.gone.then(() => open.delete(socket));
  };

  return async (server) => {
    await server.register(websocket, {
      options: {
        maxPayload: limits.messageBytesMax,
        perMessageDeflate: false,
        clientTracking: false,
        // A token is not repeated, unless it is all there is to choose from.
        handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : ([...offered][0] ?? false)),
      },
      errorHandler: (error, socket) => {
        observer.event("websocket-failed", { error: error.message });
        open.get(socket)?.cutOffSoon();
      },
      preClose: (done) => {
        stopping = true;
        timer.cancel();
        stopHearing();
        void stopAll("the server is stopping").then(() => done());
      },
    });
    server.route({
      method: "GET",
      url: WS_PATH,
      // Before the connection is one: its client has sent nothing yet, and goes elsewhere.
      onRequest: (_request, _reply, done) =>
        done(node.drain.on ? new NodeError("unavailable", "the node is drained: connect to another") : undefined),
      wsHandler: (socket) => accept(socket),
      handler: (_request, reply) => {
        reply.raw.setHeader("Upgrade", "websocket");
        throw new NodeError("upgrade-required", `${WS_PATH} takes WebSocket connections only`);
      },
    });
  };
}
