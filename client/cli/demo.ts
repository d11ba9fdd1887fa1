/** `tidemark demo`: runs the demonstration, where its data is installed. Loaded only then: it is no part of the verbs. */
import type { Command } from "commander";
import { TidemarkError } from "../error.ts";
import type { Io } from "./io.ts";
import { newVerb } from "./verb.ts";

const DATA_PACKAGE = "vega-datasets";

export function demoCommand(_io: Io, onDone: (exitCode: number) => void): Command {
  return newVerb(
    "demo",
    "see real flights flow through three nodes whose leader is killed in the middle, and nothing lost",
    "tidemark demo --keep",
  )
    .option("--keep", "keep the servers until Ctrl-C, to look around")
    .action(async (options: { readonly keep?: boolean }) => {
      if (!isInstalled())
        throw new TidemarkError("invalid-argument", `the demo's data is not here: npm install ${DATA_PACKAGE}`);
      const { runDemo } = await import("../examples/flights-demo.ts");
      onDone(await runDemo({ keep: options.keep === true }));
    });
}

function isInstalled(): boolean {
  try {
    import.meta.resolve(DATA_PACKAGE);
    return true;
  } catch {
    return false;
  }
}
