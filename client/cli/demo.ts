/** `tidemark demo`: runs the demonstration, where its data is installed. Loaded only then: it is no part of the verbs. */
import type { Command } from "commander";
import { TidemarkError } from "../error.ts";
import type { Io } from "./io.ts";
import { newVerb } from "./verb.ts";

/** What only the demo needs: its data, and what its app checks them with. */
const PACKAGES = ["vega-datasets", "valibot"];

export function demoCommand(_io: Io, onDone: (exitCode: number) => void): Command {
  return newVerb(
    "demo",
    "see real flights flow through three nodes and an app, of which leader and replica are killed, and nothing lost",
    "tidemark demo --keep",
  )
    .option("--keep", "keep the servers until Ctrl-C, to look around")
    .action(async (options: { readonly keep?: boolean }) => {
      const missing = PACKAGES.filter((name) => !isInstalled(name));
      if (missing.length > 0)
        throw new TidemarkError(
          "invalid-argument",
          `the demo needs more than is here: npm install ${missing.join(" ")}`,
        );
      const { runDemo } = await import("../examples/flights-demo.ts");
      onDone(await runDemo({ keep: options.keep === true }));
    });
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
