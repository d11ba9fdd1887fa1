/** `tidemark groups lag`. */
import type { Command } from "commander";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb } from "../verb.ts";
import { lagText } from "./group-shown.ts";

export function lagCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "lag",
    "show how far a group is behind, stream by stream, in records and in time",
    "tidemark groups lag billing",
    "tidemark groups lag billing -o json",
  ).argument("<group>", "the group's id");
  return withConnectionOptions(command).action(async (id: string, options: ConnectionOptions) => {
    await using client = openClient(io, options);
    const { progress } = await client.group(id).describe({ signal: io.interrupted });
    await write(io.stdout, options.output === "json" ? progress.map(jsonLine).join("") : lagText(progress));
    onDone(EXIT.ok);
  });
}
