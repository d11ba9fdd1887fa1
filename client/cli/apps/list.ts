/** `tidemark apps list`. */
import type { AppInfo } from "../../apps/app-description.ts";
import { askTogether } from "../../ask-together.ts";
import { openClient, withConnectionOptions, type ConnectionOptions } from "../connection-options.ts";
import { EXIT } from "../exit-codes.ts";
import { write } from "../io.ts";
import { formatTable, jsonLine } from "../output.ts";
import { newVerb, type Verb } from "../verb.ts";
import { APP_COLUMNS, appCells, appInfoJson, type ListedApp } from "./app-shown.ts";
import { stateInList } from "./standing.ts";

export const listCommand: Verb = (io, onDone) =>
  withConnectionOptions(
    newVerb("list", "list the apps that are deployed, by name", "tidemark apps list").argument(
      "[prefix]",
      "only those whose names begin with this",
      "",
    ),
  ).action(async (prefix: string, options: ConnectionOptions) => {
    await using client = openClient(io, options);
    const found: AppInfo[] = [];
    for await (const app of client.apps({ prefix, signal: io.interrupted })) found.push(app);
    const apps = await askTogether(found, async (app): Promise<ListedApp> => {
      return { ...app, state: await stateInList(client, app, io.interrupted) };
    });
    const json = options.output === "json";
    const text = apps.length === 0 ? "" : formatTable(APP_COLUMNS, apps.map(appCells));
    await write(io.stdout, json ? apps.map((app) => jsonLine(appInfoJson(app))).join("") : text);
    onDone(EXIT.ok);
  });
