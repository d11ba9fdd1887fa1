/** `tidemark groups show`. */
import type { Command } from "commander";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb } from "../verb.ts";
import { groupJson, groupText } from "./group-shown.ts";

export function showCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "show",
    "show all there is to know of a group",
    "tidemark groups show billing",
    "tidemark groups show billing -o json",
  ).argument("<group>", "the group's id");
  return withConnectionOptions(command).action(async (id: string, options: ConnectionOptions) => {
    await using client = openClient(io, options);
    const group = await client.group(id).describe({ signal: io.interrupted });
    await write(io.stdout, options.output === "json" ? jsonLine(groupJson(group)) : groupText(group));
    onDone(EXIT.ok);
  });
}
