/** Waiting for a stream to go on. A stream with a sliding time to live does not expire while someone waits for it. */
import type { HttpContext } from "../context.ts";
import type { StreamView } from "../../streams/views.ts";

/** A platform's timers hold some 24 days; what is longer fires at once, again and again. */
const REFRESH_MS_MAX = 3_600_000;

/**
 * Resolves at the stream's next change, or when the signal aborts. The wait begins in this call, before anything else
 * can happen: what the caller has just seen of the stream is what changes are counted from.
 */
export async function waitForChange(context: HttpContext, stream: StreamView, signal: AbortSignal): Promise<void> {
  const { node } = context;
  const changed = node.changed(stream.id, signal);
  if (stream.expiry.kind !== "sliding") return changed;
  const everyMs = Math.max(1, Math.min(Math.floor((stream.expiry.ttlSeconds * 1_000) / 2), REFRESH_MS_MAX));
  let timer = node.clock.schedule(everyMs, function refresh() {
    node.touch(stream.name);
    timer = node.clock.schedule(everyMs, refresh);
  });
  try {
    await changed;
  } finally {
    timer.cancel();
  }
}
