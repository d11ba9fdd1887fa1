/** `tidemark version`: of this package, and of the Node that runs it. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { type OutputFormat, withOutputOption } from "./connection-options.ts";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";

export function versionCommand(io: Io, onDone: (exitCode: number) => void): Command {
  return withOutputOption(new Command("version"))
    .description("print the version")
    .addHelpText("after", "\nExample:\n  $ tidemark version -o json")
    .action(async (options: { readonly output: OutputFormat }) => {
      const version = packageVersion();
      const node = process.versions.node;
      const line =
        options.output === "json" ? JSON.stringify({ tidemark: version, node }) : `tidemark ${version} (Node ${node})`;
      await write(io.stdout, `${line}\n`);
      onDone(EXIT.ok);
    });
}

/** From the manifest above this file, wherever a build has put it. */
export function packageVersion(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = readManifest(join(folder, "package.json"));
    if (manifest?.name === "tidemark") return manifest.version ?? "unknown";
  }
  return "unknown";
}

function readManifest(path: string): { readonly name?: string; readonly version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { readonly name?: string; readonly version?: string };
  } catch {
    return undefined;
  }
}
