/** The WebSocket face with bounds of one's own, on a node on simulated disks behind a real server on loopback. */
import type { AccessConfig } from "../../log-server/http/auth.ts";
import type { HttpLimits } from "../../log-server/http/limits.ts";
import { SYSTEM_ZSTD } from "../../log-server/system.ts";
import { WS_LIMITS, type WsLimits } from "../../log-server/ws/limits.ts";
import type { WsObserver } from "../../log-server/ws/ports.ts";
import { WS_PATH, wsRoute } from "../../log-server/ws/route.ts";
import { startTestServer, type TestServer } from "../http/test-server.ts";

export type WsServer = TestServer & {
  /** Subscriptions under way. */
  readonly readers: () => number;
  readonly dropped: () => number;
  readonly events: readonly string[];
};

export async function startWsServer(
  limits: Partial<WsLimits> = {},
  access?: AccessConfig,
  http?: HttpLimits,
): Promise<WsServer> {
  let readers = 0;
  let dropped = 0;
  const events: string[] = [];
  const observer: WsObserver = {
    read: () => undefined,
    liveReaders: (change) => {
      readers += change;
    },
    slowReaderDropped: () => {
      dropped += 1;
    },
    event: (code) => events.push(code),
  };
  const server = await startTestServer({
    ...(access !== undefined && { access }),
    ...(http !== undefined && { http }),
    observer: { event: (code) => events.push(code) },
    upgrade: (node) => ({
      path: WS_PATH,
      plugin: (requests) =>
        wsRoute({ node, requests, observer, zstd: SYSTEM_ZSTD, limits: { ...WS_LIMITS, ...limits } }),
    }),
  });
  return { ...server, readers: () => readers, dropped: () => dropped, events };
}
