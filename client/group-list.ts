/** Listing groups: page after page, as the loop takes them. One page is held at a time. */
import type { GroupsResponse } from "../src/wire/group-look-up.ts";
import type { Connection } from "./connection.ts";
import { TidemarkError } from "./error.ts";
import { toGroupInfo, type GroupInfo } from "./group-description.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import type { ListOptions } from "./stream-list.ts";

/** In the order of their ids' UTF-16 code units. Each page is of one moment, the whole is not. `timeout` is for each page. */
export async function* listGroups(
  connection: Connection,
  options: ListOptions,
): AsyncGenerator<GroupInfo, void, undefined> {
  const { prefix = "", limit = Number.POSITIVE_INFINITY } = options;
  if (!(limit >= 0)) throw new TidemarkError("invalid-argument", "`limit` is a number from 0");
  let left = limit;
  let after: string | undefined = options.after ?? "";
  while (after !== undefined && left > 0) {
    const { groups, next }: GroupsResponse = await connection.lookUp(
      { kind: "groups", prefix, after, limit: Math.min(left, CLIENT_LIMITS.listedGroupsPerPage) },
      options,
    );
    // Or a server that goes round in circles would be asked for ever.
    if (next !== undefined && next <= after) throw new TidemarkError("protocol-error", "a page of groups goes back");
    for (const group of groups) {
      if (left === 0) return;
      left -= 1;
      yield toGroupInfo(group);
    }
    after = next;
  }
}
