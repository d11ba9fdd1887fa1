/** The WebSocket face of a simulated node: the production connection and requests, behind sockets in memory. */
import { Answers } from "../http/answers.ts";
import { Access } from "../http/auth.ts";
import { BodyPool } from "../http/body-pool.ts";
import { HTTP_LIMITS } from "../http/limits.ts";
import { LiveResponses } from "../http/live-responses.ts";
import { NativeRequests } from "../http/native/requests.ts";
import { NO_HTTP_OBSERVER } from "../http/observer.ts";
import { ReadAhead } from "../http/stream-routes/read-ahead.ts";
import type { LogNode } from "../node/log-node.ts";
import { Connection } from "../ws/connection.ts";
import { WS_LIMITS } from "../ws/limits.ts";
import type { WsContext } from "../ws/ports.ts";
import { WS_PATH } from "../ws/route.ts";
import type { Accept } from "./sockets.ts";

/** `failed`: a request whose handling threw what nobody expected. */
export function faceOf(node: LogNode, failed: (what: string) => void): Accept {
  const limits = HTTP_LIMITS;
  const observer = {
    ...NO_HTTP_OBSERVER,
    event: (code: string, detail: object) => failed(`${code} ${JSON.stringify(detail)}`),
  };
  const requests = new NativeRequests({
    node,
    limits,
    zstd: undefined,
    observer,
    answers: new Answers(node, new Access({ kind: "loopback" }).crossOrigin),
    bodies: new BodyPool(limits),
    ahead: new ReadAhead(limits.readsAheadMax),
    live: new LiveResponses(node, observer, limits.liveResponsesMax),
    publicUrl: () => `http://${node.nodeName}${WS_PATH}`,
  });
  const context: WsContext = {
    node,
    requests,
    limits: WS_LIMITS,
    observer: { ...observer, event: observer.event },
    clock: node.clock,
    zstd: undefined,
  };
  const open = new Set<Connection>();
  const check = (): void => {
    for (const connection of open) connection.check();
    node.clock.schedule(WS_LIMITS.checkEveryMs, check);
  };
  node.clock.schedule(WS_LIMITS.checkEveryMs, check);
  node.drain.onBegin(() => {
    for (const connection of open) void connection.stop("the node is drained");
  });
  return (socket) => {
    const connection = new Connection(context, socket);
    open.add(connection);
    void connection.gone.then(() => open.delete(connection));
  };
}
