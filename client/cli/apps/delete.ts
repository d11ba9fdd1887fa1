/** `tidemark apps delete`. */
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { internalStreams } from "./internal-streams.ts";

export const deleteCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb(
      "delete",
      "delete an app, how far its tasks are, and the streams in which it kept that (apps/NAME/…); what it wrote elsewhere stays",
      "tidemark apps delete delays",
    ),
  )
    .argument("<apps...>", "the apps' names")
    .action(async (names: string[], options: ConnectionOptions) => {
      await using client = openClient(io, options);
      for (const name of names) {
        const deleteStreams = await internalStreams(client, name, io.interrupted);
        await client.app(name).delete({ deleteStreams, signal: io.interrupted });
        const done = { app: name, deleted: true, deleteStreams };
        await write(io.stdout, options.output === "json" ? jsonLine(done) : `deleted ${name}\n`);
      }
      onDone(EXIT.ok);
    });
