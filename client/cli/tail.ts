/** `tidemark tail`: prints a stream's records, and goes on as they come. */
import type { Command } from "commander";
import type { Io } from "./io.ts";
import { printStream, withReadingOptions, type ReadingOptions } from "./reading.ts";
import { newVerb } from "./verb.ts";

type TailOptions = ReadingOptions & { readonly follow: boolean };

export function tailCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "tail",
    "print a stream's records and follow it, until it is closed or Ctrl-C",
    "tidemark tail orders --from now",
    "tidemark tail orders --last 10 -o json",
  ).argument("<stream>", "the stream's name, such as orders/eu");
  return withReadingOptions(command)
    .option("--no-follow", "end at the stream's end instead of waiting for more")
    .action(async (stream: string, options: TailOptions) => {
      onDone(await printStream(io, stream, options));
    });
}
