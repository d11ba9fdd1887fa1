/**
 * Session tokens, `cluster.log.position`: whoever shows one has seen the log up to there, and must not be answered
 * from before. A token of another cluster cannot be honoured.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { LogNode } from "../node/log-node.ts";
import { header, parseInteger } from "./header-values.ts";
import { HttpError } from "./http-error.ts";

export function sessionHeader(headers: IncomingHttpHeaders): string | undefined {
  return header(headers, "tidemark-session");
}

/** Waits, boundedly, until the position of the token is applied here. */
export async function awaitSession(node: LogNode, token: string, waitMs: number): Promise<void> {
  const [cluster, log, digits, ...rest] = token.split(".");
  const position = parseInteger(digits ?? "");
  if (position === undefined || rest.length > 0) {
    throw new HttpError("malformed-header", "Tidemark-Session must be a token that this service gave");
  }
  if (cluster !== node.clusterId || log !== String(node.logId)) {
    throw new HttpError("cluster-changed", "the session token is from another cluster: what it has seen is not here");
  }
  if (node.position >= position) return;
  const reached = await new Promise<boolean>((resolve) => {
    const timer = node.clock.schedule(waitMs, () => finish(false));
    const stop = node.onApplied(() => {
      if (node.position >= position) finish(true);
    });
    const finish = (value: boolean): void => {
      timer.cancel();
      stop();
      resolve(value);
    };
  });
  if (!reached) throw new HttpError("unavailable", "this node has not reached the session's position yet");
}
