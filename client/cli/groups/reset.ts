/** `tidemark groups reset`: shows what it would change, and changes it only with `--yes`. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { TidemarkError } from "../../error.ts";
import type { Group } from "../../groups/group.ts";
import type { ResetTarget } from "../../groups/group-reset.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write, type Io } from "../io.ts";
import { counted, jsonLine } from "../output.ts";
import { parseWhere, type Where } from "../places.ts";
import { newVerb } from "../verb.ts";
import { movesText } from "./group-shown.ts";

type To = "end" | Where;

type ResetOptions = ConnectionOptions & {
  readonly to: To;
  readonly stream?: readonly string[];
  readonly force?: boolean;
  readonly dryRun?: true;
  readonly yes?: boolean;
};

const TO_HELP = "start, end, an offset, a token, a time (2026-01-31T12:00Z) or how long ago (15m)";

export function resetCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "reset",
    "set where a group goes on; without --yes, only show what that would change",
    "tidemark groups reset billing --to 1h",
    "tidemark groups reset billing --to start --stream orders/eu --yes",
  ).argument("<group>", "the group's id");
  return withConnectionOptions(command)
    .addOption(new Option("--to <place>", TO_HELP).argParser(toArgument).makeOptionMandatory())
    .option("--stream <names...>", "only these of its streams")
    .option("--force", "even while members are at work: what they hold is theirs no more")
    .addOption(new Option("--dry-run", "only show what it would change, as without --yes").conflicts("yes"))
    .option("--yes", "do it")
    .action(async (id: string, options: ResetOptions) => {
      await reset(io, id, options);
      onDone(EXIT.ok);
    });
}

function toArgument(text: string): To {
  const to = text === "end" ? "end" : parseWhere(text, Date.now());
  if (to === undefined) throw new InvalidArgumentError(`It must be ${TO_HELP}.`);
  return to;
}

async function reset(io: Io, id: string, options: ResetOptions): Promise<void> {
  const { to, stream: streams, force = false, yes = false, output } = options;
  await using client = openClient(io, options);
  const group = client.group(id);
  const { busy, moves } = await group.reset(await targetOf(group, to, streams), {
    ...(streams !== undefined && { streams }),
    force,
    dryRun: !yes,
    signal: io.interrupted,
  });
  if (output === "json") {
    await write(io.stdout, jsonLine({ id, dryRun: !yes, busy, positions: moves }));
    return;
  }
  const [did, members] = yes
    ? [`reset ${id}, ${counted(moves.length, "stream")}\n`, ""]
    : ["nothing was changed: add --yes to do it\n", busy && !force ? "members are at work: it needs --force\n" : ""];
  await write(io.stdout, `${movesText(moves)}${members}${did}`);
}

/** An offset is one of each stream that is named; where none is, the group may have only one. */
async function targetOf(group: Group, to: To, streams: readonly string[] | undefined): Promise<ResetTarget> {
  if (to === "end") return "end";
  if (to.kind === "time") return { time: to.atMs };
  const { place } = to;
  if (place === "start") return "start";
  if (place === "now") return "end";
  const names = streams ?? (await group.describe()).progress.map(({ stream }) => stream);
  if (streams === undefined && names.length > 1)
    throw new TidemarkError(
      "invalid-argument",
      "the group follows several streams: say with --stream whose offset it is",
    );
  return { places: Object.fromEntries(names.map((name) => [name, place])) };
}
