/** Where groups are: what stands in the URL of each route. */
import { Type } from "typebox";

export const GROUPS_PATH = "/v1/groups";
export const GROUPS_PREFIX = `${GROUPS_PATH}/`;
export const GROUP_PATH = `${GROUPS_PREFIX}:id`;

/** Percent-encoded in the URL. */
export const GroupId = Type.Object({ id: Type.String() });

const VERBS: readonly string[] = ["join", "leave", "heartbeat", "ack", "take", "settle", "reset"];

/** The methods of a path below `/v1/groups/`; undefined where nothing is. */
export function groupMethods(path: string): string | undefined {
  if (!path.startsWith(GROUPS_PREFIX)) return undefined;
  const [id = "", verb, ...rest] = path.slice(GROUPS_PREFIX.length).split("/");
  if (id === "" || rest.length > 0) return undefined;
  if (verb === undefined) return "GET, PUT, DELETE, OPTIONS";
  return VERBS.includes(verb) ? "POST, OPTIONS" : undefined;
}
