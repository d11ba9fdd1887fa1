/**
 * `tidemark verify`: whether all that a node has on its disk is what was written; of a data folder that no server uses, or by
 * asking a running node, which makes good what it can meanwhile.
 */
import type { Command } from "commander";
import { TidemarkError } from "../error.ts";
import { type ConnectionOptions, serverOf, timeoutMs, withConnectionOptions } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { type Io, write } from "./io.ts";
import { onFolder } from "./on-folder.ts";
import { counted, formatBytes, jsonLine } from "./output.ts";
import { ProgressBar } from "./progress-bar.ts";
import { newVerb, type OutputFormat } from "./verb.ts";
import type { FolderReport } from "./verify/data-folder.ts";
import { verifyNode } from "./verify/running-node.ts";

const NOTE = `
A running node reads its whole log, and its snapshots, and shows what it found; what other nodes have it makes good meanwhile. Of
a data folder every file is read, the image too, which a node verifies when it starts, and what the files say of one another is compared;
nothing is changed there.

A disk cannot tell by itself that all of it is old, such as a copy that was put back, nor what its node has voted since in the
newest term, nor what was acknowledged behind the end that it knows. Nor can it tell what others lack, or have otherwise: for
that each node is verified, and running ones compare digests of their state.`;

type VerifyOptions = ConnectionOptions & { readonly data?: string };

export function verifyCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "verify",
    "check that everything on a node's disk is what was written",
    "tidemark verify --url http://127.0.0.1:4437",
    "tidemark verify --data .tidemark -o json",
  ).addHelpText("after", NOTE);
  return withConnectionOptions(command)
    .option("--data <dir>", "check a data folder that no server uses, instead of asking one")
    .action(async (options: VerifyOptions) => {
      const { data, output } = options;
      onDone(data === undefined ? await verifyServer(io, options) : await verifyData(io, data, output));
    });
}

/** Of a running node: it reads, and mends from the others what it finds. */
async function verifyServer(io: Io, options: VerifyOptions): Promise<number> {
  const bar = new ProgressBar(io.stderr);
  const found = await verifyNode(serverOf(io, options), timeoutMs(options), (done) =>
    bar.show({ phase: "verify", done }),
  );
  bar.clear();
  const { bytes, damage, mended } = found;
  const findings = [
    ...mended.map((one) => ({ ...one, mended: true })),
    ...damage.map((one) => ({ ...one, mended: false })),
  ];
  const total = { bytes, findings: findings.length, intact: damage.length === 0 };
  const text = (): string => {
    const lines = findings.map((one) => `${one.mended ? "mended " : "damaged"}  ${one.message}\n`);
    const verdict = findings.length === 0 ? "intact" : counted(findings.length, "finding");
    return `${lines.join("")}${formatBytes(bytes)} read: ${verdict}\n`;
  };
  await write(io.stdout, options.output === "json" ? [...findings, total].map(jsonLine).join("") : text());
  return damage.length > 0 ? EXIT.damaged : EXIT.ok;
}

async function verifyData(io: Io, data: string, output: OutputFormat): Promise<number> {
  const { verifyFolder } = await import("./verify/data-folder.ts");
  const bar = new ProgressBar(io.stderr);
  const verified = await onFolder(data, () =>
    verifyFolder(data, (file, done) => bar.show({ phase: `verify ${file}`, done })),
  );
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
