/**
 * Says that no server answers where that takes longer than a moment: the SDK tries again for as long as it may, and a newcomer would look at
 * nothing meanwhile. Only before the first answer. It hears of it by the SDK's diagnostics.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { DIAGNOSTIC_CHANNELS, type DiagnosticMessage } from "../diagnostics.ts";
import { TidemarkError } from "../error.ts";
import type { Io } from "./io.ts";
import { visible } from "./output.ts";

const NOTICE_AFTER_MS = 2_000;
/** The end of each attempt, whatever came of it. */
const ENDS = `tracing:${DIAGNOSTIC_CHANNELS.request}:asyncEnd`;

/** Of a client that was opened just now; `url`: of its first node, by which its attempts are known. */
export function noticeUnreachable(stderr: Io["stderr"], url: string, timeoutSeconds: number): void {
  const { hostname, port } = new URL(url);
  let failure: TidemarkError | undefined;
  const onEnd = (message: unknown): void => {
    const { attributes, error } = message as DiagnosticMessage & { readonly error?: unknown };
    if (attributes["server.address"] !== hostname || String(attributes["server.port"] ?? "") !== port) return;
    if (error instanceof TidemarkError && error.retryable) failure = error;
    else end();
  };
  const timer = setTimeout(() => {
    end();
    if (failure === undefined) return;
    const hint = failure.code === "connection-failed" ? ' ("tidemark serve" starts a server)' : "";
    stderr.write(`tidemark: ${visible(failure.message)}; trying for ${timeoutSeconds} s${hint}\n`);
  }, NOTICE_AFTER_MS).unref();
  const end = (): void => {
    clearTimeout(timer);
    unsubscribe(ENDS, onEnd);
  };
  subscribe(ENDS, onEnd);
}
