/** `tidemark groups consume`: works as a member would, and what it does is print. */
import type { Command } from "commander";
import { holdsJson } from "../../../src/record/record-json.ts";
import { TidemarkError } from "../../error.ts";
import type { Group } from "../../groups/group.ts";
import type { GroupRecord } from "../../groups/group-record.ts";
import type { ReadStatus } from "../../reading/record-stream.ts";
import { openQuietClient, timeoutMs, withServerOptions, type ServerOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { countArgument } from "../places.ts";
import { RECORD_FORMATS, recordLine, RecordPrinter, type RecordFormat } from "../record-printer.ts";
import { newVerb, outputOption } from "../verb.ts";
import { StreamTypes } from "./stream-types.ts";

type ConsumeOptions = ServerOptions & {
  readonly output: RecordFormat;
  readonly member?: string;
  readonly limit?: number;
  readonly keys?: boolean;
};

/** Prints a record; it is acknowledged once that is done. */
type Print = (record: GroupRecord) => Promise<void>;

export function consumeCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "consume",
    "print a group's records as a member of it, each acknowledged once it is printed, until Ctrl-C",
    "tidemark groups consume billing",
    "tidemark groups consume mailers --limit 1 -o json",
  ).argument("<group>", "the group's id");
  return withServerOptions(command)
    .addOption(outputOption(RECORD_FORMATS))
    .option("--member <name>", "what others see this member called (default: a random name)")
    .option("--limit <count>", "end after so many records", countArgument)
    .option("--keys", "in text, print each record's key and a tab before its value")
    .action(async (id: string, options: ConsumeOptions) => {
      onDone(await consume(io, id, options));
    });
}

async function consume(io: Io, id: string, options: ConsumeOptions): Promise<number> {
  await using client = openQuietClient(io, options);
  const group = client.group(id);
  const printer = new RecordPrinter(io, options.output, options.keys === true);
  const types = new StreamTypes(client);
  const print: Print = async (record) => {
    if (options.output !== "json") {
      await printer.records([record], undefined);
      return;
    }
    const line = recordLine(record, holdsJson(await types.of(record.stream)));
    await write(io.stdout, `{"stream":${JSON.stringify(record.stream)},${line.slice(1)}\n`);
  };
  const work = { io, group, options, print, onStatus: (status: ReadStatus) => printer.status(status) };
  try {
    const { mode } = await group.describe({ signal: io.interrupted });
    if (mode === "queue") await consumeQueue(work);
    else await consumePartitions(work);
    return EXIT.ok;
  } catch (thrown) {
    if (io.interrupted.aborted && thrown instanceof TidemarkError && thrown.code === "aborted") return EXIT.interrupted;
    throw thrown;
  }
}

type Work = {
  readonly io: Io;
  readonly group: Group;
  readonly options: ConsumeOptions;
  readonly print: Print;
  readonly onStatus: (status: ReadStatus) => void;
};

async function consumeQueue({ io, group, options, print, onStatus }: Work): Promise<void> {
  const { member, limit = Number.POSITIVE_INFINITY } = options;
  await using deliveries = group.take({
    ...(member !== undefined && { member }),
    timeout: timeoutMs(options),
    signal: io.interrupted,
    onStatus,
  });
  let printed = 0;
  for await (const delivery of deliveries) {
    await print(delivery);
    await delivery.ack();
    printed += 1;
    if (printed >= limit) break;
  }
}

async function consumePartitions({ io, group, options, print, onStatus }: Work): Promise<void> {
  const { member: name, limit = Number.POSITIVE_INFINITY } = options;
  await using member = await group.join({
    ...(name !== undefined && { member: name }),
    timeout: timeoutMs(options),
    signal: io.interrupted,
    onStatus,
  });
  let printed = 0;
  for await (const record of member) {
    await print(record);
    printed += 1;
    // What ends the loop does not come back to it.
    if (printed >= limit) {
      await member.ack(record);
      break;
    }
  }
}
