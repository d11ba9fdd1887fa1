/** The verbs of `tidemark streams` that change something: create, close, delete, trim, settings. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { TidemarkError } from "../error.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "./connection-options.ts";
import { durationArgument } from "./durations.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { formatFields, jsonLine } from "./output.ts";
import { PLACE_HELP, whereArgument, type Where } from "./places.ts";
import { offsetOf } from "./reading.ts";
import {
  changedRetention,
  changesRetention,
  describeRetention,
  withRetentionOptions,
  type RetentionOptions,
} from "./retention-options.ts";
import { newVerb } from "./verb.ts";

type CreateOptions = ConnectionOptions &
  RetentionOptions & { readonly contentType?: string; readonly ttl?: number; readonly expires?: Date };
type TrimOptions = ConnectionOptions & { readonly before: Where };
type SettingsOptions = ConnectionOptions & RetentionOptions;

const NAME_HELP = "the stream's name, such as orders/eu";
const MS_PER_SECOND = 1_000;

export function createCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "create",
    "create a stream; one that exists just so is fine",
    "tidemark streams create orders --content-type application/json",
    "tidemark streams create prices --compact 24h",
  ).argument("<stream>", NAME_HELP);
  withConnectionOptions(command)
    .option("--content-type <type>", "with application/json each record is JSON (default: application/octet-stream)")
    .option("--ttl <duration>", "the stream ends this long after its last read or write", secondsArgument)
    .addOption(new Option("--expires <time>", "the stream ends then").argParser(timeArgument).conflicts("ttl"));
  return withRetentionOptions(command).action(async (name: string, options: CreateOptions) => {
    onDone(await create(io, name, options));
  });
}

async function create(io: Io, name: string, options: CreateOptions): Promise<number> {
  const { contentType, ttl, expires, output } = options;
  await using client = openClient(io, options);
  const made = await client.stream(name).create({
    signal: io.interrupted,
    ...(contentType !== undefined && { contentType }),
    ...(ttl !== undefined && { ttlSeconds: ttl }),
    ...(expires !== undefined && { expiresAt: expires }),
    ...(changesRetention(options) && { retention: changedRetention({}, options) }),
  });
  const { created, nextOffset, nextToken, closed } = made;
  const json = { name, created, contentType: made.contentType, next: nextOffset, token: nextToken, closed };
  await write(io.stdout, output === "json" ? jsonLine(json) : `${created ? "created" : "there is already"} ${name}\n`);
  return EXIT.ok;
}

export function closeCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "close",
    "close a stream: it takes no more records, and who tails it is done",
    "tidemark streams close orders",
  ).argument("<stream>", NAME_HELP);
  return withConnectionOptions(command).action(async (name: string, options: ConnectionOptions) => {
    await using client = openClient(io, options);
    const { nextOffset } = await client.stream(name).close({ signal: io.interrupted });
    const json = { name, closed: true, next: nextOffset };
    await write(io.stdout, options.output === "json" ? jsonLine(json) : `closed ${name} at offset ${nextOffset}\n`);
    onDone(EXIT.ok);
  });
}

export function deleteCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "delete",
    "delete streams with all they hold; nothing brings them back",
    "tidemark streams delete orders",
  ).argument("<streams...>", "the streams' names");
  return withConnectionOptions(command).action(async (names: string[], options: ConnectionOptions) => {
    await using client = openClient(io, options);
    for (const name of names) {
      await client.stream(name).delete({ signal: io.interrupted });
      await write(io.stdout, options.output === "json" ? jsonLine({ name, deleted: true }) : `deleted ${name}\n`);
    }
    onDone(EXIT.ok);
  });
}

export function trimCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "trim",
    "forget a stream's oldest records; nothing brings them back",
    "tidemark streams trim orders --before 1000",
    "tidemark streams trim orders --before 30d",
  ).argument("<stream>", NAME_HELP);
  return withConnectionOptions(command)
    .requiredOption("--before <place>", `the first record to keep: ${PLACE_HELP}`, whereArgument)
    .action(async (name: string, options: TrimOptions) => {
      onDone(await trim(io, name, options));
    });
}

async function trim(io: Io, name: string, options: TrimOptions): Promise<number> {
  await using client = openClient(io, options);
  const stream = client.stream(name);
  await stream.trim(await offsetOf(stream, options.before), { signal: io.interrupted });
  const { firstOffset, nextOffset } = await stream.describe({ signal: io.interrupted });
  const json = { name, first: firstOffset, next: nextOffset };
  const text = `${name} begins at offset ${firstOffset}, and ends before ${nextOffset}\n`;
  await write(io.stdout, options.output === "json" ? jsonLine(json) : text);
  return EXIT.ok;
}

export function settingsCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "settings",
    "show or change what a stream may forget by itself",
    "tidemark streams settings orders",
    "tidemark streams settings orders --max-age 7d --max-bytes none",
  ).argument("<stream>", NAME_HELP);
  return withRetentionOptions(withConnectionOptions(command)).action(async (name: string, options: SettingsOptions) => {
    onDone(await settings(io, name, options));
  });
}

async function settings(io: Io, name: string, options: SettingsOptions): Promise<number> {
  await using client = openClient(io, options);
  const stream = client.stream(name);
  const before = (await stream.describe({ signal: io.interrupted })).retention;
  const retention = changedRetention(before, options);
  if (changesRetention(options)) await stream.settings(retention, { signal: io.interrupted });
  const text = formatFields({ name, keeps: describeRetention(retention) });
  await write(io.stdout, options.output === "json" ? jsonLine({ name, retention }) : text);
  return EXIT.ok;
}

/** Lives are counted in whole seconds; less than one would be none. */
function secondsArgument(text: string): number {
  const seconds = Math.ceil(durationArgument(text) / MS_PER_SECOND);
  if (seconds === 0) throw new InvalidArgumentError("It must be longer than nothing.");
  return seconds;
}

function timeArgument(text: string): Date {
  const where = whereArgument(text);
  if (where.kind !== "time") throw new InvalidArgumentError("It must be a time such as 2026-12-31T12:00Z.");
  if (where.atMs < Date.now()) throw new TidemarkError("invalid-argument", `${text} is in the past`);
  return new Date(where.atMs);
}
