/** `tidemark groups delete`. */
import type { Command } from "commander";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb } from "../verb.ts";

export function deleteCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "delete",
    "delete groups, with what they know of how far they are; their streams stay",
    "tidemark groups delete billing",
  ).argument("<groups...>", "the groups' ids");
  return withConnectionOptions(command).action(async (ids: string[], options: ConnectionOptions) => {
    await using client = openClient(io, options);
    for (const id of ids) {
      await client.group(id).delete({ signal: io.interrupted });
      await write(io.stdout, options.output === "json" ? jsonLine({ id, deleted: true }) : `deleted ${id}\n`);
    }
    onDone(EXIT.ok);
  });
}
