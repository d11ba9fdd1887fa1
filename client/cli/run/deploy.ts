/** Makes the streams that an app writes, and deploys it. Done again, both find what is there. */
import type { Topology } from "../../../src/operators/build/topology.ts";
import { taskSpecsOf, writtenStreamsOf } from "../../../src/runtime/app-streams.ts";
import { shapeOf } from "../../../src/runtime/app-shape.ts";
import { statusStream } from "../../../src/wire/app-streams.ts";
import type { Client } from "../../client.ts";
import type { CreateOptions } from "../../stream.ts";
import { TidemarkError } from "../../error.ts";

const DESCRIPTION_CHARACTERS_MAX = 4_000;
const INTERNAL = "apps/";
/** Of reports on replicas: the last ones stay, of those, too, who died. */
const STATUS: CreateOptions = { contentType: "application/json", retention: { maxBytes: 4 * 1024 * 1024 } };

/** What all workers have alike, wherever they are started. */
export type AppOptions = { readonly poison: "dead-letter" | "stop" };

/** Answers the epoch in which it runs. */
export async function deploy(
  client: Client,
  topology: Topology,
  options: AppOptions,
  signal: AbortSignal,
): Promise<number> {
  const graph = topology.build();
  const streams = writtenStreamsOf(graph).map((stream) => {
    const contentType = stream.startsWith(INTERNAL) ? "application/octet-stream" : "application/json";
    return makeStream(client, stream, { contentType, signal });
  });
  await Promise.all([...streams, makeStream(client, statusStream(graph.app), { ...STATUS, signal })]);
  const { epoch } = await client.app(graph.app).deploy({
    version: graph.version,
    tasks: taskSpecsOf(graph),
    description: cut(topology.describe()),
    options: JSON.stringify(options),
    shape: shapeOf(graph),
    signal,
  });
  return epoch;
}

/** One that is there is as its owner wants it. */
async function makeStream(client: Client, stream: string, options: CreateOptions): Promise<void> {
  try {
    await client.stream(stream).create(options);
  } catch (error) {
    if (!(error instanceof TidemarkError && error.code === "stream-exists")) throw error;
  }
}

function cut(description: string): string {
  if (description.length <= DESCRIPTION_CHARACTERS_MAX) return description;
  return `${description.slice(0, description.lastIndexOf("\n", DESCRIPTION_CHARACTERS_MAX))}\n…`;
}
