/** Which methods a path takes: what a request with another one is told. */
import { appMethods, APPS_PATH } from "./apps/paths.ts";
import { CURSORS_PREFIX } from "./cursors/routes.ts";
import { groupMethods, GROUPS_PATH } from "./groups/paths.ts";
import { FRAMES_PATH } from "./native/frames-route.ts";
import { OPENAPI_PATH } from "./openapi/document.ts";
import { RECORDS_PREFIX } from "./records/routes.ts";
import { STREAM_PREFIX } from "./stream-url.ts";
import { STREAMS_PATH, STREAMS_PREFIX, TRIM_PREFIX } from "./streams/routes.ts";
import { TRANSACTIONS_PATH } from "./transactions/routes.ts";

const PATHS: ReadonlyMap<string, string> = new Map([
  [FRAMES_PATH, "POST, OPTIONS"],
  [STREAMS_PATH, "GET, OPTIONS"],
  [GROUPS_PATH, "GET, OPTIONS"],
  [APPS_PATH, "GET, OPTIONS"],
  [TRANSACTIONS_PATH, "POST, OPTIONS"],
  [OPENAPI_PATH, "GET"],
]);

const PREFIXES: readonly (readonly [string, string])[] = [
  [STREAM_PREFIX, "GET, HEAD, PUT, POST, DELETE, OPTIONS"],
  [RECORDS_PREFIX, "GET, POST, OPTIONS"],
  [STREAMS_PREFIX, "GET, PUT, PATCH, DELETE, OPTIONS"],
  [TRIM_PREFIX, "POST, OPTIONS"],
  [CURSORS_PREFIX, "GET, PUT, DELETE, OPTIONS"],
];

/** Undefined where nothing is served. */
export function allowedMethods(url: string): string | undefined {
  const [path = ""] = url.split("?", 1);
  const known = PATHS.get(path) ?? PREFIXES.find(([prefix]) => path.startsWith(prefix))?.[1];
  return known ?? groupMethods(path) ?? appMethods(path);
}
