/** `tidemark streams`: the noun, and the verbs that only look. Those that change something are `streams-changes.ts`. */
import type { Command } from "commander";
import type { StreamInfo } from "../description.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { formatTable, jsonLine } from "./output.ts";
import { countArgument } from "./places.ts";
import { describedJson, describedText, listedJson, STREAM_COLUMNS, streamCells } from "./stream-shown.ts";
import { closeCommand, createCommand, deleteCommand, settingsCommand, trimCommand } from "./streams-changes.ts";
import { newVerb } from "./verb.ts";

type ListOptions = ConnectionOptions & { readonly limit?: number };

/** Streams printed at a time, and so the most that are held. */
const ROWS_PER_WRITE = 1_000;

export function streamsCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "streams",
    "list, create, look at and change streams",
    "tidemark streams list",
    "tidemark streams create orders --content-type application/json --max-age 7d",
  );
  const verbs = [listCommand, showCommand, createCommand, closeCommand, deleteCommand, trimCommand, settingsCommand];
  for (const verb of verbs) command.addCommand(verb(io, onDone));
  return command;
}

function listCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "list",
    "list streams, by name",
    "tidemark streams list orders/",
    "tidemark streams list -o json --limit 10",
  ).argument("[prefix]", "only those whose names begin with this", "");
  return withConnectionOptions(command)
    .option("--limit <count>", "at most so many", countArgument)
    .action(async (prefix: string, options: ListOptions) => {
      onDone(await list(io, prefix, options));
    });
}

async function list(io: Io, prefix: string, options: ListOptions): Promise<number> {
  const { output, limit } = options;
  await using client = openClient(io, options);
  let rows: StreamInfo[] = [];
  let titled = true;
  const flush = async (): Promise<void> => {
    const json = rows.map((stream) => jsonLine(listedJson(stream))).join("");
    await write(io.stdout, output === "json" ? json : formatTable(STREAM_COLUMNS, rows.map(streamCells), titled));
    titled = false;
    rows = [];
  };
  const listing = client.streams({ prefix, signal: io.interrupted, ...(limit !== undefined && { limit }) });
  for await (const stream of listing) {
    rows.push(stream);
    if (rows.length === ROWS_PER_WRITE) await flush();
  }
  if (rows.length > 0) await flush();
  return EXIT.ok;
}

function showCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "show",
    "show all there is to know of a stream",
    "tidemark streams show orders",
    "tidemark streams show orders -o json",
  ).argument("<stream>", "the stream's name");
  return withConnectionOptions(command).action(async (name: string, options: ConnectionOptions) => {
    await using client = openClient(io, options);
    const stream = await client.stream(name).describe({ signal: io.interrupted });
    await write(io.stdout, options.output === "json" ? jsonLine(describedJson(stream)) : describedText(stream));
    onDone(EXIT.ok);
  });
}
