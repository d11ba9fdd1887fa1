/** Listing groups. */
import type { Connection } from "../connection.ts";
import { toGroupInfo, type GroupInfo } from "./group-description.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import { paged, type ListOptions } from "../paged.ts";

/** In the order of their ids' UTF-16 code units. Each page is of one moment, the whole is not. `timeout` is for each page. */
export function listGroups(connection: Connection, options: ListOptions): AsyncGenerator<GroupInfo, void, undefined> {
  return paged(options, CLIENT_LIMITS.listedGroupsPerPage, async (request) => {
    const { groups, next } = await connection.lookUp({ kind: "groups", ...request }, options);
    return { items: groups.map(toGroupInfo), next };
  });
}
