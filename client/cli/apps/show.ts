/** `tidemark apps show`: what is deployed, how far each task is, and what runs it. */
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { appJson, appText } from "./app-shown.ts";
import { standingOf } from "./standing.ts";

export const showCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("show", "show an app and its tasks", "tidemark apps show delays", "tidemark apps show delays -o json"),
  )
    .argument("<app>", "the app's name")
    .action(async (name: string, options: ConnectionOptions) => {
      await using client = openClient(io, options);
      const app = await standingOf(client, name, io.interrupted);
      await write(io.stdout, options.output === "json" ? jsonLine(appJson(app)) : appText(app));
      onDone(EXIT.ok);
    });
