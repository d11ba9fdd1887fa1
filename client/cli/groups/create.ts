/** `tidemark groups create`. */
import { type Command, Option } from "commander";
import type { CreateGroupOptions } from "../../groups/group.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { durationArgument } from "../durations.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { jsonLine } from "../output.ts";
import { countArgument } from "../places.ts";
import { newVerb } from "../verb.ts";

type CreateOptions = ConnectionOptions & {
  readonly queue?: boolean;
  readonly pattern?: string;
  readonly from: "start" | "now";
  readonly lease?: number;
  readonly attempts?: number;
  readonly retryDelay?: number;
  readonly deadLetter?: string;
};

export function createCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "create",
    "create a group; one that exists just so is fine",
    "tidemark groups create billing --pattern 'orders/*'",
    "tidemark groups create mailers mails --queue --attempts 3 --dead-letter mails-dead",
  )
    .argument("<group>", "the group's id")
    .argument("[streams...]", "streams that it follows, whether or not they are there yet");
  return withConnectionOptions(command)
    .option("--queue", "members share the records, instead of the streams")
    .option("--pattern <glob>", "follow also streams whose names match: * is one segment, ** any number")
    .addOption(new Option("--from <place>", "where to begin in the streams").choices(["start", "now"]).default("start"))
    .option("--lease <duration>", "how long a member, or a record's lease, lasts without a word", durationArgument)
    .option("--attempts <count>", "of a queue: how often a record is given out at most", countArgument)
    .option("--retry-delay <duration>", "of a queue: how long a refused record rests", durationArgument)
    .option("--dead-letter <stream>", "of a queue: where records go that have had all attempts")
    .action(async (id: string, streams: string[], options: CreateOptions) => {
      await create(io, id, streams, options);
      onDone(EXIT.ok);
    });
}

async function create(io: Io, id: string, streams: readonly string[], options: CreateOptions): Promise<void> {
  await using client = openClient(io, options);
  const { created } = await client.group(id).create({ ...configOf(streams, options), signal: io.interrupted });
  const text = `${created ? "created" : "there is already"} ${id}\n`;
  await write(io.stdout, options.output === "json" ? jsonLine({ id, created }) : text);
}

function configOf(streams: readonly string[], options: CreateOptions): CreateGroupOptions {
  const { queue, pattern, from, lease, attempts, retryDelay, deadLetter } = options;
  return {
    mode: queue === true ? "queue" : "partitions",
    streams,
    from,
    ...(pattern !== undefined && { pattern }),
    ...(lease !== undefined && { leaseMs: lease }),
    ...(attempts !== undefined && { attemptsMax: attempts }),
    ...(retryDelay !== undefined && { retryDelayMs: retryDelay }),
    ...(deadLetter !== undefined && { deadLetter }),
  };
}
