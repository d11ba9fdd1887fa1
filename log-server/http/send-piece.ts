/** Writing an answer that is sent in pieces, no faster than its reader takes it. */
import type { ServerResponse } from "node:http";
import type { HttpContext } from "./context.ts";
import type { LiveResponse } from "./live-responses.ts";

/** Writes, and waits until the socket has room again. A reader that takes nothing for too long is cut off. */
export async function sendPiece(
  context: HttpContext,
  raw: ServerResponse,
  live: LiveResponse,
  bytes: Uint8Array,
): Promise<void> {
  if (raw.write(bytes) || !live.connected) return;
  await new Promise<void>((resolve) => {
    const timer = context.node.clock.schedule(context.limits.stalledReaderMs, () => {
      context.observer.slowReaderDropped();
      raw.destroy();
    });
    const finish = (): void => {
      timer.cancel();
      raw.off("drain", finish).off("close", finish);
      resolve();
    };
    raw.once("drain", finish).once("close", finish);
  });
}
