/** `tidemark groups take`: records of a queue, printed with the receipts by which they are settled later. */
import type { Command } from "commander";
import { holdsJson } from "../../../src/record/record-json.ts";
import type { Delivery } from "../../groups/delivery.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { durationArgument } from "../durations.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { countArgument } from "../places.ts";
import { recordLine } from "../record-printer.ts";
import { newVerb } from "../verb.ts";
import { StreamTypes } from "./stream-types.ts";

type TakeOptions = ConnectionOptions & {
  readonly count: number;
  readonly wait?: number;
  readonly member?: string;
};

const TAB: Uint8Array = Buffer.from("\t");
const NEWLINE: Uint8Array = Buffer.from("\n");

export function takeCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "take",
    "take records of a queue: print each with a receipt, to settle it by `ack`, `nack` or `release`",
    "tidemark groups take mailers",
    "tidemark groups take mailers --count 10 --wait 20s -o json",
  ).argument("<group>", "the group's id");
  return withConnectionOptions(command)
    .option("--count <count>", "records at most", countArgument, 1)
    .option("--wait <duration>", "how long to wait where there is none", durationArgument)
    .option("--member <name>", "what others see this member called (default: a random name)")
    .action(async (id: string, options: TakeOptions) => {
      await take(io, id, options);
      onDone(EXIT.ok);
    });
}

async function take(io: Io, id: string, options: TakeOptions): Promise<void> {
  const { count, wait = 0, member, output } = options;
  await using client = openClient(io, options);
  const deliveries = await client.group(id).takeOnce({
    count,
    waitMs: wait,
    ...(member !== undefined && { member }),
    signal: io.interrupted,
  });
  const types = new StreamTypes(client);
  for (const delivery of deliveries) {
    const shown = output === "json" ? await takenLine(delivery, types) : takenText(delivery);
    await write(io.stdout, shown);
  }
}

async function takenLine(delivery: Delivery, types: StreamTypes): Promise<string> {
  const { stream, receipt, attempt } = delivery;
  const head = JSON.stringify({ receipt, stream, attempt });
  return `${head.slice(0, -1)},${recordLine(delivery, holdsJson(await types.of(stream))).slice(1)}\n`;
}

/** The receipt, a tab, and the value. */
function takenText(delivery: Delivery): Uint8Array {
  return Buffer.concat([Buffer.from(delivery.receipt), TAB, delivery.bytes(), NEWLINE]);
}
