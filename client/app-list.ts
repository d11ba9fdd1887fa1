/** Listing apps: page after page, as the loop takes them. One page is held at a time. */
import type { AppsResponse } from "../src/wire/app-look-up.ts";
import { toAppInfo, type AppInfo } from "./app-description.ts";
import type { Connection } from "./connection.ts";
import { TidemarkError } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import type { ListOptions } from "./stream-list.ts";

/** In the order of their names' UTF-16 code units. Each page is of one moment, the whole is not. `timeout` is for each page. */
export async function* listApps(
  connection: Connection,
  options: ListOptions,
): AsyncGenerator<AppInfo, void, undefined> {
  const { prefix = "", limit = Number.POSITIVE_INFINITY } = options;
  if (!(limit >= 0)) throw new TidemarkError("invalid-argument", "`limit` is a number from 0");
  let left = limit;
  let after: string | undefined = options.after ?? "";
  while (after !== undefined && left > 0) {
    const { apps, next }: AppsResponse = await connection.lookUp(
      { kind: "apps", prefix, after, limit: Math.min(left, CLIENT_LIMITS.listedAppsPerPage) },
      options,
    );
    // Or a server that goes round in circles would be asked for ever.
    if (next !== undefined && next <= after) throw new TidemarkError("protocol-error", "a page of apps goes back");
    for (const app of apps) {
      if (left === 0) return;
      left -= 1;
      yield toAppInfo(app);
    }
    after = next;
  }
}
