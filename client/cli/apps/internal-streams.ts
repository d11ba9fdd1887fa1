/** The streams that are an app's own by their names: repartitions, commits, snapshots, dead letters. */
import type { Client } from "../../client.ts";

export async function internalStreams(client: Client, app: string, signal: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of client.streams({ prefix: `apps/${app}/`, signal })) names.push(name);
  return names;
}
