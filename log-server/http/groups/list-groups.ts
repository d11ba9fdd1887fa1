/** A page of the groups whose ids begin with a prefix, in the order of their ids' UTF-16 code units. */
import type { ListedGroup } from "../../../src/wire/group-look-up.ts";
import type { GroupView } from "../../streams/group-views.ts";
import type { HttpContext } from "../context.ts";

export function listGroups(
  { node, limits }: HttpContext,
  prefix: string,
  after: string,
  limit: number,
): { readonly groups: readonly ListedGroup[]; readonly next?: string } {
  const max = Math.min(limit, limits.listedGroupsMax);
  const groups: ListedGroup[] = [];
  const { machine } = node;
  const first = after < prefix ? machine.group(prefix) : undefined;
  if (first !== undefined) groups.push(listed(first));
  for (const view of machine.groups(after < prefix ? prefix : after)) {
    const last = groups.at(-1);
    if (!view.config.id.startsWith(prefix)) break;
    if (last !== undefined && groups.length >= max) return { groups, next: last.id };
    groups.push(listed(view));
  }
  return { groups };
}

function listed({ config, memberCount, streamCount, lag, inFlight, resting, dead }: GroupView): ListedGroup {
  const { id, mode } = config;
  return { id, mode: mode.kind, members: memberCount, streams: streamCount, lag, inFlight, resting, dead };
}
