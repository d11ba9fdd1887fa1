/** `tidemark apps reset`: shows what it would do, and does it only with `--yes`. */
import { Option } from "commander";
import { deadLetterStream } from "../../../src/wire/app-streams.ts";
import type { ResetAppOutcome } from "../../apps/app.ts";
import type { Client } from "../../client.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { movesText } from "./app-shown.ts";
import { internalStreams } from "./internal-streams.ts";

type ResetOptions = ConnectionOptions & {
  readonly deleteStream?: readonly string[];
  readonly dryRun?: true;
  readonly yes?: true;
};

const RESET_HELP = `
What its tasks know is forgotten, with the streams in which it kept that (apps/NAME/…, but for dead letters); they read their input from the
beginning again. What it wrote to other streams stays, and is written again behind it: name those streams with --delete-stream
to have them deleted in the same moment. Whoever runs the app goes on with it anew.`;

export const resetCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "reset",
      "begin an app anew; without --yes, only show what that would do",
      "tidemark apps reset delays --dry-run",
      "tidemark apps reset delays --delete-stream delays-by-hour --yes",
    ),
  )
    .argument("<app>", "the app's name")
    .addHelpText("after", RESET_HELP)
    .option("--delete-stream <names...>", "delete these, too")
    .addOption(new Option("--dry-run", "only show what it would do, as without --yes").conflicts("yes"))
    .option("--yes", "do it")
    .action(async (name: string, options: ResetOptions) => {
      await using client = openClient(io, options);
      const deleteStreams = [...(await keptStreams(client, name, io.interrupted)), ...(options.deleteStream ?? [])];
      const dryRun = options.yes !== true;
      const outcome = await client.app(name).reset({ deleteStreams, dryRun, signal: io.interrupted });
      if (options.output === "json") await write(io.stdout, jsonLine({ app: name, ...outcome, deleteStreams }));
      else {
        const deletions = deleteStreams.map((stream) => `${dryRun ? "would delete" : "deleted"} ${stream}\n`).join("");
        const done = dryRun ? "nothing was changed: add --yes to do it\n" : `reset ${name}\n`;
        await write(io.stdout, `${movesText(outcome)}${lostText(outcome)}${deletions}${done}`);
      }
      onDone(EXIT.ok);
    });

function lostText({ gone, missing }: ResetAppOutcome): string {
  const lines = [
    ...gone.map(
      ({ stream, from, to }) => `offsets ${from} to ${to - 1} of ${stream} are gone: nothing comes of them again`,
    ),
    ...missing.map((stream) => `there is no stream ${stream}: nothing comes of what it had`),
  ];
  return lines.map((line) => `warning: ${line}\n`).join("");
}

/** Of those that are its own, what would be in the way of a new beginning. */
async function keptStreams(client: Client, name: string, signal: AbortSignal): Promise<string[]> {
  const own = await internalStreams(client, name, signal);
  return own.filter((stream) => stream !== deadLetterStream(name));
}
