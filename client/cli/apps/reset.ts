/** `tidemark apps reset`: shows what it would do, and does it only with `--yes`. */
import { Option } from "commander";
import type { Offset } from "../../../src/record/offset.ts";
import type { Client } from "../../client.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { movesText } from "./app-shown.ts";
import { deadLetterStream, ownerOfInternal } from "../../../src/wire/app-streams.ts";
import { internalStreams } from "./internal-streams.ts";
import { inputEnds } from "./lag.ts";

type ResetOptions = ConnectionOptions & {
  readonly deleteStream?: readonly string[];
  readonly dryRun?: true;
  readonly yes?: true;
};

/** Records that the app had to read, and that are no more: it would not read them again. */
type GoneInput = { readonly stream: string; readonly from: Offset; readonly to: Offset };

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
      const gone = await goneInputs(client, name, io.interrupted);
      const deleteStreams = [...(await keptStreams(client, name, io.interrupted)), ...(options.deleteStream ?? [])];
      const dryRun = options.yes !== true;
      const outcome = await client.app(name).reset({ deleteStreams, dryRun, signal: io.interrupted });
      if (options.output === "json") await write(io.stdout, jsonLine({ app: name, ...outcome, deleteStreams, gone }));
      else {
        const deletions = deleteStreams.map((stream) => `${dryRun ? "would delete" : "deleted"} ${stream}\n`).join("");
        const done = dryRun ? "nothing was changed: add --yes to do it\n" : `reset ${name}\n`;
        await write(io.stdout, `${movesText(outcome)}${gone.map(goneText).join("")}${deletions}${done}`);
      }
      onDone(EXIT.ok);
    });

/** What is between its stages goes with the reset. */
async function goneInputs(client: Client, name: string, signal: AbortSignal): Promise<GoneInput[]> {
  const { tasks } = await client.app(name).describe({ signal });
  const begins = new Map(
    tasks.flatMap(({ inputs, begins: offsets }) => inputs.map((input, at) => [input, offsets[at]])),
  );
  const inputs = [...begins.keys()].filter((stream) => ownerOfInternal(stream)?.app !== name);
  const ends = await inputEnds(client, inputs, signal);
  return inputs.flatMap((stream) => {
    const [from = 0, to = 0] = [begins.get(stream), ends.get(stream)?.firstOffset];
    return from < to ? [{ stream, from, to }] : [];
  });
}

function goneText({ stream, from, to }: GoneInput): string {
  return `warning: offsets ${from} to ${to - 1} of ${stream} are gone: nothing comes of them again\n`;
}

/** Of those that are its own, what would be in the way of a new beginning. */
async function keptStreams(client: Client, name: string, signal: AbortSignal): Promise<string[]> {
  const own = await internalStreams(client, name, signal);
  return own.filter((stream) => stream !== deadLetterStream(name));
}
