/** `tidemark inspect`: what stands in a file of a data folder, with every checksum verified. Asks no server. */
import { type Command, Option } from "commander";
import { TidemarkError } from "../error.ts";
import { EXIT } from "./exit-codes.ts";
import type { Report } from "./inspect/report.ts";
import { write, type Io } from "./io.ts";
import { counted, formatFields, formatTable, jsonLine } from "./output.ts";
import { ProgressBar } from "./progress-bar.ts";
import { newVerb, type OutputFormat, withOutputOption } from "./verb.ts";

type InspectOptions = { readonly output: OutputFormat; readonly summary?: boolean; readonly damaged?: boolean };

/** Rows of JSON printed in one write. */
const ROWS_PER_WRITE = 1_000;

const NOTE = `
Takes segments (*.log, *.compacted), index blocks (*.index), snapshots (*.snapshot) and the hard state, also of a server that runs: it
only reads. What is "unproven" stands at the end of a file, where a crash may have torn it or a server is writing.`;

export function inspectCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "inspect",
    "show what is in files of a data folder, and verify their checksums",
    "tidemark inspect .tidemark/logs/0/segments/0000000000000001.log",
    "tidemark inspect --summary .tidemark/logs/0/segments/*.log -o json",
  )
    .argument("<files...>", "segments, index blocks, snapshots, the hard state")
    .addHelpText("after", NOTE);
  return withOutputOption(command)
    .option("--summary", "leave out what the file is made of")
    .addOption(new Option("--damaged", "show nothing of a file that is intact"))
    .action(async (files: string[], options: InspectOptions) => {
      onDone(await inspectAll(io, files, options));
    });
}

/** A file that cannot be inspected keeps nobody from the others. */
async function inspectAll(io: Io, files: readonly string[], options: InspectOptions): Promise<number> {
  let exitCode: number = EXIT.ok;
  const failures: TidemarkError[] = [];
  for (const file of files) {
    try {
      exitCode = Math.max(exitCode, await inspectOne(io, file, options));
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError)) throw thrown;
      failures.push(thrown);
    }
  }
  const [first] = failures;
  if (first === undefined) return exitCode;
  const damaged = exitCode === EXIT.damaged || failures.some(({ code }) => code === "damaged");
  throw new TidemarkError(damaged ? "damaged" : first.code, failures.map(({ message }) => message).join("; "));
}

async function inspectOne(io: Io, path: string, options: InspectOptions): Promise<number> {
  const { inspectFile } = await import("./inspect/inspect-file.ts");
  const bar = new ProgressBar(io.stderr);
  let bytes = 0;
  const inspected = await inspectFile(path, (count) => {
    bytes += count;
    bar.show({ phase: `inspect ${path}`, done: bytes });
  });
  bar.clear();
  if (!inspected.ok) {
    const { kind, message } = inspected.error;
    throw new TidemarkError(kind === "damaged" ? "damaged" : "invalid-argument", `${path}: ${message}`);
  }
  const report = inspected.value;
  const damaged = report.findings.some((finding) => finding.kind === "damaged");
  if (options.damaged !== true || report.findings.length > 0) {
    if (options.output === "json") await printJson(io, path, report, options);
    else await write(io.stdout, asText(path, report, options));
  }
  return damaged ? EXIT.damaged : EXIT.ok;
}

function asText(path: string, report: Report, options: InspectOptions): string {
  const { facts, columns, rows, findings, checked } = report;
  const table =
    options.summary === true || rows.length === 0
      ? ""
      : `\n${formatTable(
          columns,
          rows.map(({ cells }) => cells),
        )}`;
  const verdict =
    findings.length === 0
      ? `${checked}: intact`
      : `${checked}: ${counted(findings.length, "finding")}\n${findings
          .map(({ kind, place, end, what }) => `  ${kind}  bytes ${place} to ${end - 1}: ${what}`)
          .join("\n")}`;
  return `${formatFields({ file: path, ...facts })}${table}\n${verdict}\n\n`;
}

async function printJson(io: Io, path: string, report: Report, options: InspectOptions): Promise<void> {
  const { json, rows, findings } = report;
  await write(io.stdout, jsonLine({ file: path, ...json, intact: findings.length === 0, findings }));
  if (options.summary === true) return;
  for (let at = 0; at < rows.length; at += ROWS_PER_WRITE) {
    const lines = rows.slice(at, at + ROWS_PER_WRITE).map((row) => jsonLine({ file: path, ...row.json }));
    await write(io.stdout, lines.join(""));
  }
}
