/** `tidemark apps pause` and `resume`: each is done when the verb ends, and may be said again. */
import type { App } from "../../apps/app.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";

export const pauseCommand: Verb = changeCommand(
  "pause",
  "let an app's tasks commit nothing until it is resumed",
  (app, call) => app.pause(call),
);

export const resumeCommand: Verb = changeCommand("resume", "let an app's tasks go on where they are", (app, call) =>
  app.resume(call),
);

function changeCommand(
  name: "pause" | "resume",
  description: string,
  change: (app: App, call: { readonly signal: AbortSignal }) => Promise<void>,
): Verb {
  return (io, onDone) =>
    withConnectionOptions(newVerb(name, description, `tidemark apps ${name} delays`))
      .argument("<apps...>", "the apps' names")
      .action(async (names: string[], options: ConnectionOptions) => {
        await using client = openClient(io, options);
        for (const app of names) {
          await change(client.app(app), { signal: io.interrupted });
          const done = { app, paused: name === "pause" };
          await write(io.stdout, options.output === "json" ? jsonLine(done) : `${name}d ${app}\n`);
        }
        onDone(EXIT.ok);
      });
}
