/** Listing apps. */
import type { Connection } from "../connection.ts";
import { toAppInfo, type AppInfo } from "./app-description.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { paged, type ListOptions } from "../paged.ts";

/** In the order of their names' UTF-16 code units. Each page is of one moment, the whole is not. `timeout` is for each page. */
export function listApps(connection: Connection, options: ListOptions): AsyncGenerator<AppInfo, void, undefined> {
  return paged(options, CLIENT_LIMITS.listedAppsPerPage, async (request) => {
    const { apps, next } = await connection.lookUp({ kind: "apps", ...request }, options);
    return { items: apps.map(toAppInfo), next };
  });
}
