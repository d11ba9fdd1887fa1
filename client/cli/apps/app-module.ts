/** Loads the module of an app, whose default export is a topology. What is wrong with it is told with its place. */
import { statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Topology } from "../../../src/operators/build/topology.ts";
import { messageOf } from "../../../src/lib/thrown.ts";
import { TidemarkError } from "../../error.ts";

/** Of the package, built or not. An error's place is not in it, but in whoever called it. */
const OWN = fileURLToPath(new URL("../../../", import.meta.url));
const PLACE = /(?:file:\/\/)?(\/[^\s()]+?):(\d+)(?::(\d+))?\)?$/;
const WINDOWS_PLACE = /(?:file:\/\/\/)?([A-Za-z]:[\\/][^()]+?):(\d+)(?::(\d+))?\)?$/;

/** Throws `invalid-argument`, whose message a user can act on; `aborted`, if the signal fires while the module is waited for. */
export async function loadApp(file: string, signal: AbortSignal): Promise<Topology> {
  const path = resolve(file);
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
    throw new TidemarkError("invalid-argument", `there is no file "${file}"`);
  const module = await load(path, signal);
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

type Module = Readonly<Record<string, unknown>>;

/** One that waits for ever ends when nothing is left that could happen, or when somebody has had enough. */
async function load(path: string, signal: AbortSignal): Promise<Module> {
  const waiting = Promise.withResolvers<never>();
  const onIdle = (): void => waiting.reject(new Error("the module waits for something that never comes"));
  const onAbort = (): void => waiting.reject(new TidemarkError("aborted"));
  process.once("beforeExit", onIdle);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([import(pathToFileURL(path).href) as Promise<Module>, waiting.promise]);
  } catch (error) {
    if (signal.aborted) throw error;
    throw faulty(error, placeOf(error) ?? shown(path));
  } finally {
    process.off("beforeExit", onIdle);
    signal.removeEventListener("abort", onAbort);
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
  const message = messageOf(error);
  const name = error instanceof Error ? error.name : "thrown";
  const missing = message.includes("Cannot find package 'tidemark'") ? " (npm install tidemark beside it)" : "";
  return new TidemarkError("invalid-argument", `${place}: ${name}: ${message}${missing}`, {
    cause: error,
  });
}

function describe(value: unknown): string {
  if (value === null || typeof value !== "object") return `a ${value === null ? "null" : typeof value}`;
  // Anything may stand there, also what has no constructor.
  const { constructor } = value as { readonly constructor?: unknown };
  if (typeof constructor !== "function") return "no topology";
  const kind = constructor.name;
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
