/** `tidemark groups ack`, `nack` and `release`: what became of records that were taken. */
import type { Command } from "commander";
import type { Group } from "../../groups/group.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { durationArgument } from "../durations.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb } from "../verb.ts";

type NackOptions = ConnectionOptions & { readonly delay?: number; readonly reason?: string };

const RECEIPTS_HELP = "as `take` printed them";

export function ackCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "ack",
    "acknowledge records that were taken: they are done",
    "tidemark groups ack mailers 7.0000000000000002_0000000000000000.mails",
  )
    .argument("<group>", "the group's id")
    .argument("<receipts...>", RECEIPTS_HELP);
  return withConnectionOptions(command).action(async (id: string, receipts: string[], options: ConnectionOptions) => {
    await settle(io, id, receipts, options, "acknowledged", (group, receipt) => group.ack(receipt));
    onDone(EXIT.ok);
  });
}

export function nackCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "nack",
    "refuse records that were taken: they come again, or have had all their attempts",
    "tidemark groups nack mailers 7.0000000000000002_0000000000000000.mails --delay 1m --reason 'no such address'",
  )
    .argument("<group>", "the group's id")
    .argument("<receipts...>", RECEIPTS_HELP);
  return withConnectionOptions(command)
    .option("--delay <duration>", "how long they rest (default: as the group has it)", durationArgument)
    .option("--reason <text>", "for the dead-letter stream, should this be the last attempt")
    .action(async (id: string, receipts: string[], options: NackOptions) => {
      const { delay, reason } = options;
      const how = { ...(delay !== undefined && { delayMs: delay }), ...(reason !== undefined && { reason }) };
      await settle(io, id, receipts, options, "refused", (group, receipt) => group.nack(receipt, how));
      onDone(EXIT.ok);
    });
}

export function releaseCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "release",
    "give records back that were taken and not worked on: they come again at once, and this was no attempt",
    "tidemark groups release mailers 7.0000000000000002_0000000000000000.mails",
  )
    .argument("<group>", "the group's id")
    .argument("<receipts...>", RECEIPTS_HELP);
  return withConnectionOptions(command).action(async (id: string, receipts: string[], options: ConnectionOptions) => {
    await settle(io, id, receipts, options, "given back", (group, receipt) => group.release(receipt));
    onDone(EXIT.ok);
  });
}

/** All are tried; the first that fails is the verb's failure. */
async function settle(
  io: Io,
  id: string,
  receipts: readonly string[],
  options: ConnectionOptions,
  done: string,
  settleOne: (group: Group, receipt: string) => Promise<void>,
): Promise<void> {
  await using client = openClient(io, options);
  const group = client.group(id);
  const outcomes = await Promise.allSettled(receipts.map((receipt) => settleOne(group, receipt)));
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === "rejected") continue;
    const receipt = receipts[at] as string;
    await write(io.stdout, options.output === "json" ? jsonLine({ receipt, done: true }) : `${done}: ${receipt}\n`);
  }
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
