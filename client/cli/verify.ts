/**
 * `tidemark verify`: whether all that a node has on its disk is what was written; of a data folder that no server uses, or by
 * asking a running node, which makes good what it can meanwhile.
 */
import type { Command } from "commander";
import { TidemarkError } from "../error.ts";
import { EXIT } from "./exit-codes.ts";
import { type Io, write } from "./io.ts";
import { counted, formatBytes, jsonLine } from "./output.ts";
import { ProgressBar } from "./progress-bar.ts";
import { newVerb, type OutputFormat, withOutputOption } from "./verb.ts";
import type { FolderReport } from "./verify/data-folder.ts";

type VerifyOptions = { readonly output: OutputFormat; readonly data: string };

export function verifyCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "verify",
    "check that everything on a node's disk is what was written",
    "tidemark verify --data .tidemark",
    "tidemark verify --data .tidemark -o json",
  );
  return withOutputOption(command)
    .requiredOption("--data <folder>", "a data folder that no server uses")
    .action(async (options: VerifyOptions) => {
      onDone(await verifyData(io, options));
    });
}

async function verifyData(io: Io, { data, output }: VerifyOptions): Promise<number> {
  const { verifyFolder } = await import("./verify/data-folder.ts");
  const bar = new ProgressBar(io.stderr);
  const verified = await verifyFolder(data, (file, done) => bar.show({ phase: `verify ${file}`, done }));
  bar.clear();
  if (!verified.ok) throw new TidemarkError("invalid-argument", verified.error);
  const report = verified.value;
  await write(io.stdout, output === "json" ? asJson(report) : asText(report));
  return report.findings.some(({ kind }) => kind !== "unproven") ? EXIT.damaged : EXIT.ok;
}

function asText({ files, bytes, findings }: FolderReport): string {
  const lines = findings.map(({ file, kind, what, place, end }) => {
    const where = place === undefined || end === undefined ? "" : `, bytes ${place} to ${end - 1}`;
    return `${kind}  ${file}${where}: ${what}\n`;
  });
  const verdict = findings.length === 0 ? "intact" : counted(findings.length, "finding");
  return `${lines.join("")}${counted(files, "file")}, ${formatBytes(bytes)}: ${verdict}\n`;
}

function asJson({ files, bytes, findings }: FolderReport): string {
  return [
    ...findings.map(jsonLine),
    jsonLine({ files, bytes, findings: findings.length, intact: findings.length === 0 }),
  ].join("");
}
