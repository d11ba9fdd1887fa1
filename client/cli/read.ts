/** `tidemark read`: prints what a stream holds, or a part of it, and ends. */
import type { Command } from "commander";
import type { Io } from "./io.ts";
import { PLACE_HELP, whereArgument, type Where } from "./places.ts";
import { printStream, withReadingOptions, type ReadingOptions } from "./reading.ts";
import { newVerb } from "./verb.ts";

type ReadOptions = ReadingOptions & { readonly to?: Where };

export function readCommand(io: Io, onDone: (exitCode: number) => void): Command {
  const command = newVerb(
    "read",
    "print a stream's records, or some of them, and end",
    "tidemark read orders",
    "tidemark read orders --from 1h --to now -o json",
    "tidemark read orders -o json | tidemark append copy --create --format records",
  ).argument("<stream>", "the stream's name, such as orders/eu");
  return withReadingOptions(command)
    .option("--to <place>", `end before this place: ${PLACE_HELP} (default: the stream's end)`, whereArgument)
    .action(async (stream: string, options: ReadOptions) => {
      onDone(await printStream(io, stream, { ...options, follow: false }));
    });
}
