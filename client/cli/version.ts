/** `tidemark version`: of this package, and of the Node that runs it. */
import type { Command } from "commander";
import { EXIT } from "./exit-codes.ts";
import { write, type Io } from "./io.ts";
import { jsonLine } from "./output.ts";
import { packageVersion } from "./package-version.ts";
import { newVerb, type OutputFormat, withOutputOption } from "./verb.ts";

export function versionCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb("version", "print the version", "tidemark version -o json");
  return withOutputOption(command).action(async (options: { readonly output: OutputFormat }) => {
    const tidemark = packageVersion();
    const node = process.versions.node;
    await write(
      io.stdout,
      options.output === "json" ? jsonLine({ tidemark, node }) : `tidemark ${tidemark} (Node ${node})\n`,
    );
    onDone(EXIT.ok);
  });
}
