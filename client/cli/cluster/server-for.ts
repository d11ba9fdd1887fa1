/** The node that a verb of `tidemark cluster` asks. */
import { type ConnectionOptions, serverOf, timeoutMs } from "../connection-options.ts";
import type { Io } from "../io.ts";
import type { ClusterServer } from "./ask-cluster.ts";

export function serverFor(io: Io, options: ConnectionOptions): ClusterServer {
  return { ...serverOf(io, options), timeoutMs: timeoutMs(options) };
}
