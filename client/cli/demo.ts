/** `tidemark demo`: runs the demonstration, where its data is installed. Loaded only then: it is no part of the verbs. */
import { Command } from "commander";
import { TidemarkError } from "../error.ts";

const DATA_PACKAGE = "vega-datasets";

export function demoCommand(onDone: (exitCode: number) => void): Command {
  return new Command("demo")
    .description("see real flights flow through a server that is killed in the middle, and nothing lost")
    .option("--keep", "keep the server until Ctrl-C, to look around")
    .addHelpText("after", "\nExample:\n  $ tidemark demo --keep")
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
