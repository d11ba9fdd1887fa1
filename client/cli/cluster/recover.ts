/**
 * `tidemark cluster recover`: for a majority that is lost for good. Works on a folder that no server uses; says what is there and
 * what may be lost, and does nothing before that was agreed to.
 */
import type { Command } from "commander";
import { createInterface } from "node:readline/promises";
import type { Survey } from "../../../log-server/node/cluster/recovery.ts";
import { TidemarkError } from "../../error.ts";
import { EXIT } from "../exit-codes.ts";
import { type Io, write } from "../io.ts";
import { onFolder } from "../on-folder.ts";
import { formatFields, jsonLine } from "../output.ts";
import { newVerb, type OutputFormat, withOutputOption } from "../verb.ts";

type RecoverOptions = { readonly data: string; readonly yes?: true; readonly output: OutputFormat };

const NOTE = `
Only where a majority will never come back: not their machines, not their disks. While one more of them can be started with the
disk that it had at the end, start it instead; never from a backup, which has forgotten what its node promised since. Stop the node first, and do the same at each survivor, but answer no: the one to recover is
that whose last entry has the highest term, and of these the highest position. What is damaged before that, "tidemark verify --data" says,
and nobody will give it back.

It becomes the only voter of a new cluster. Start it as before, then add the others anew, with empty folders:
"tidemark cluster add n2=HOST:PORT". The old cluster's nodes cannot talk to it, and its session tokens are refused.`;

export function recoverCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "recover",
    "begin anew with what one stopped node has, where a majority is lost for good",
    "tidemark cluster recover --data .tidemark",
  );
  return withOutputOption(command)
    .requiredOption("--data <dir>", "the node's data folder; no server may use it")
    .option("--yes", "do not ask")
    .addHelpText("after", NOTE)
    .action(async (options: RecoverOptions) => onDone(await onFolder(options.data, () => recover(io, options))));
}

async function recover(io: Io, { data, yes, output }: RecoverOptions): Promise<number> {
  const { openRecovery } = await import("../../../log-server/recover.ts");
  const opened = await openRecovery(data);
  if (!opened.ok) throw new TidemarkError("invalid-argument", opened.error.message);
  const { survey, carryOut, close } = opened.value;
  try {
    if (survey !== undefined && output !== "json") await write(io.stdout, surveyText(survey));
    if (survey !== undefined && yes !== true && !(await agreed(io))) {
      if (output === "json") await write(io.stdout, jsonLine({ recovered: false, ...shown(survey) }));
      throw new TidemarkError("invalid-argument", "nothing was done: it takes a yes, or --yes");
    }
    const done = await carryOut();
    if (!done.ok) throw new TidemarkError("invalid-argument", done.error.message);
    const { nodeName, clusterId } = done.value;
    const result = { recovered: true, cluster: clusterId, node: nodeName };
    await write(
      io.stdout,
      output === "json"
        ? jsonLine({ ...result, ...(survey !== undefined && { before: shown(survey) }) })
        : `${nodeName} is now the only voter of cluster ${clusterId}: start it as before\n`,
    );
    return EXIT.ok;
  } finally {
    close();
  }
}

function shown({ member: _address, ...rest }: Survey): object {
  return rest;
}

/** Only a person's word counts: what comes through a pipe was not meant for this question. */
async function agreed(io: Io): Promise<boolean> {
  if (!("isTTY" in io.stdin) || io.stdin.isTTY !== true) return false;
  const lines = createInterface({ input: io.stdin, output: io.stderr });
  try {
    return (await lines.question('Go on? Only "yes" does: ', { signal: io.interrupted })).trim() === "yes";
  } finally {
    lines.close();
  }
}

function surveyText(survey: Survey): string {
  const { cluster, node, others, term, lastIndex, lastTerm, committed, damagedEnd, damage } = survey;
  const fields = formatFields({
    "node": node,
    "cluster": `${cluster}, with ${others.length === 0 ? "nobody else" : others.join(", ")}`,
    "term": `${term}`,
    "last entry": `position ${lastIndex}, of term ${lastTerm}`,
    "committed": `at least up to ${committed}`,
    "damage": damage.length === 0 ? undefined : damage.join("; "),
  });
  const lost = [
    `- What was acknowledged behind position ${lastIndex} is lost. Nobody can know from here whether there was any.`,
    ...(damagedEnd
      ? [
          "- Behind it lies damage, or lay, perhaps of acknowledged entries: they count as lost, and what is there is set aside.",
        ]
      : []),
    ...(committed < lastIndex
      ? [`- Positions ${committed + 1} to ${lastIndex} count from now on, perhaps though nobody was told so.`]
      : []),
    "- There is no way back: the old cluster's nodes, should they return, are of another cluster.",
  ];
  return `${fields}\n${lost.join("\n")}\n\n`;
}
