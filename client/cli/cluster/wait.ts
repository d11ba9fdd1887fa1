/** `tidemark cluster wait`: until all members are what they are to be and keep up, for as long as there is progress. */
import type { Command } from "commander";
import type { Client } from "../../client.ts";
import type { ClusterStatus } from "../../cluster.ts";
import { TidemarkError } from "../../error.ts";
import { type ConnectionOptions, openQuietClient, withConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { type Io, write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { countArgument } from "../places.ts";
import { newVerb } from "../verb.ts";
import { clusterText, snapshotText } from "./cluster-shown.ts";
import { Progress, SILENT_MS_MAX } from "./progress.ts";

type WaitOptions = ConnectionOptions & { readonly stalled: number };

const LOOK_EVERY_MS = 200;
const STALLED_SECONDS = 30;
const MS_PER_SECOND = 1_000;
/** Under load there is always something on its way. */
const LAG_MAX = 1_000;

export function waitCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "wait",
    "wait until all members take part and keep up, as long as there is progress",
    "tidemark cluster wait",
  );
  return withConnectionOptions(command)
    .option("--stalled <seconds>", "without any progress, give up after so long", countArgument, STALLED_SECONDS)
    .action(async (options: WaitOptions) => {
      const view = await settled(io, options);
      await write(io.stdout, options.output === "json" ? jsonLine(view) : clusterText(view));
      onDone(EXIT.ok);
    });
}

async function settled(io: Io, options: WaitOptions): Promise<ClusterStatus> {
  await using client = openQuietClient(io, options);
  const progress = new Progress();
  let movedAt = performance.now();
  for (;;) {
    const view = await look(client, io.interrupted);
    const failed = view instanceof TidemarkError;
    const lacking = failed ? view.message : whatLacks(view);
    if (!failed && lacking === undefined) return view;
    if (progress.moved(failed ? view.code : view)) movedAt = performance.now();
    if (performance.now() - movedAt > options.stalled * MS_PER_SECOND)
      throw new TidemarkError("unavailable", `nothing has moved for ${options.stalled} s: ${lacking}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** The error: the node asked does not answer; it may just have been started. */
async function look(client: Client, signal: AbortSignal): Promise<ClusterStatus | TidemarkError> {
  try {
    return await client.cluster().status({ signal });
  } catch (error) {
    if (error instanceof TidemarkError && error.retryable) return error;
    throw error;
  }
}

function whatLacks({ leader, changing, members }: ClusterStatus): string | undefined {
  if (leader === undefined) return "no leader is known";
  if (changing) return "a change is under way";
  for (const { node, role, leads, lag, silentMs, snapshot } of members) {
    if (snapshot !== undefined) return `${node} has ${snapshotText(snapshot)}`;
    if (role === "joining" || role === "leaving") return `${node} is ${role}`;
    if (leads) continue;
    if (lag === undefined || silentMs === undefined) return `how far ${node} is, the leader has not told`;
    if (silentMs > SILENT_MS_MAX) return `${node} is not heard`;
    if (lag > LAG_MAX) return `${node} is ${lag} entries behind`;
  }
  return undefined;
}
