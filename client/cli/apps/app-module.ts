/** Loads the module of an app, whose default export is a topology. What is wrong with it is told with its place. */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Topology } from "../../../src/operators/build/topology.ts";
import { TidemarkError } from "../../error.ts";

/** Of the package, built or not. An error's place is not in it, but in whoever called it. */
const OWN = fileURLToPath(new URL("../../../", import.meta.url));
const PLACE = /(?:file:\/\/)?(\/[^\s()]+?):(\d+)(?::(\d+))?\)?$/;
const WINDOWS_PLACE = /(?:file:\/\/\/)?([A-Za-z]:[\\/][^()]+?):(\d+)(?::(\d+))?\)?$/;

/** Throws `invalid-argument`, whose message a user can act on. */
export async function loadApp(file: string): Promise<Topology> {
  const path = resolve(file);
  if (!existsSync(path)) throw new TidemarkError("invalid-argument", `there is no file ${file}`);
  const module = await load(path);
  const app = module["default"];
  if (app instanceof Topology) return checked(app, path);
  const found = app === undefined ? "has no default export" : `exports ${describe(app)} by default`;
  throw new TidemarkError("invalid-argument", `${shown(path)} ${found}; export default topology("a name")`);
}

/** Where in the user's own files an error comes from: `app.ts:3:7`; undefined, if nowhere. */
export function placeOf(error: unknown): string | undefined {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  for (const line of stack.split("\n").filter((line) => !line.includes("node:"))) {
    const found = PLACE.exec(line) ?? WINDOWS_PLACE.exec(line);
    const [, path = "", row, column] = found ?? [];
    if (path === "" || isOwn(decodeURI(path))) continue;
    return [shown(decodeURI(path)), row, ...(column === undefined ? [] : [column])].join(":");
  }
  return undefined;
}

async function load(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    throw faulty(error, placeOf(error) ?? shown(path));
  }
}

/** What only shows when all of it is there, such as partitions that do not meet. */
function checked(app: Topology, path: string): Topology {
  try {
    app.build();
    return app;
  } catch (error) {
    throw faulty(error, shown(path));
  }
}

function faulty(error: unknown, place: string): TidemarkError {
  const { name, message } = error instanceof Error ? error : { name: "thrown", message: String(error) };
  const missing = message.includes("Cannot find package 'tidemark'") ? " (npm install tidemark beside it)" : "";
  return new TidemarkError("invalid-argument", `${place}: ${name}: ${message}${missing}`, {
    cause: error,
  });
}

function describe(value: unknown): string {
  if (value === null || typeof value !== "object") return `a ${value === null ? "null" : typeof value}`;
  const kind = value.constructor.name;
  return kind === Topology.name ? "a topology of another copy of tidemark" : `no topology, but a ${kind}`;
}

function isOwn(path: string): boolean {
  if (/[\\/]node_modules[\\/]/.test(path)) return true;
  return /^(?:src|log-server|client[\\/](?!examples))\b/.test(relative(OWN, path));
}

function shown(path: string): string {
  const below = relative(process.cwd(), path);
  return below.startsWith("..") ? path : below;
}
