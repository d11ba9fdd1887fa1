/** A page of the groups whose ids begin with a prefix, in the order of their ids' UTF-16 code units. */
import type { ListedGroup } from "../../../src/wire/group-look-up.ts";
import type { GroupView } from "../../streams/groups/group-views.ts";
import type { HttpContext } from "../context.ts";
import { namePage } from "../name-page.ts";

export function listGroups(
  { node, limits }: HttpContext,
  prefix: string,
  after: string,
  limit: number,
): { readonly groups: readonly ListedGroup[]; readonly next?: string } {
  const { machine } = node;
  const { views, next } = namePage<GroupView>(
    { at: (id) => machine.group(id), behind: (id) => machine.groups(id), nameOf: ({ config }) => config.id },
    { prefix, after },
    Math.min(limit, limits.listedGroupsMax),
  );
  return { groups: views.map(listed), ...(next !== undefined && { next }) };
}

function listed({ config, memberCount, streamCount, lag, inFlight, resting, dead }: GroupView): ListedGroup {
  const { id, mode } = config;
  return { id, mode: mode.kind, members: memberCount, streams: streamCount, lag, inFlight, resting, dead };
}
