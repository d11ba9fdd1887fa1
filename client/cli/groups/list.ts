/** `tidemark groups list`. */
import type { Command } from "commander";
import type { GroupInfo } from "../../groups/group-description.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { formatTable, jsonLine } from "../output.ts";
import { countArgument } from "../places.ts";
import { newVerb } from "../verb.ts";
import { GROUP_COLUMNS, groupCells } from "./group-shown.ts";

type ListOptions = ConnectionOptions & { readonly limit?: number };

/** Groups printed at a time, and so the most that are held. */
const ROWS_PER_WRITE = 1_000;

export function listCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "list",
    "list groups, by id, with their lags",
    "tidemark groups list",
    "tidemark groups list billing- -o json",
  ).argument("[prefix]", "only those whose ids begin with this", "");
  return withConnectionOptions(command)
    .option("--limit <count>", "at most so many", countArgument)
    .action(async (prefix: string, options: ListOptions) => {
      await list(io, prefix, options);
      onDone(EXIT.ok);
    });
}

async function list(io: Io, prefix: string, options: ListOptions): Promise<void> {
  const { output, limit } = options;
  await using client = openClient(io, options);
  let rows: GroupInfo[] = [];
  let titled = true;
  const flush = async (): Promise<void> => {
    const json = rows.map(jsonLine).join("");
    await write(io.stdout, output === "json" ? json : formatTable(GROUP_COLUMNS, rows.map(groupCells), titled));
    titled = false;
    rows = [];
  };
  for await (const group of client.groups({ prefix, signal: io.interrupted, ...(limit !== undefined && { limit }) })) {
    rows.push(group);
    if (rows.length === ROWS_PER_WRITE) await flush();
  }
  if (rows.length > 0) await flush();
}
