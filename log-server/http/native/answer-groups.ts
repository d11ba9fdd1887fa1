/** Answers `groups` and `group` frames, and whoever else looks at consumer groups. */
import type { Consistency } from "../../../src/wire/consistency.ts";
import type { GroupRequest, GroupResponse, GroupsRequest, GroupsResponse } from "../../../src/wire/group-look-up.ts";
import type { GroupOutline, GroupView } from "../../streams/groups/group-views.ts";
import { reach } from "../consistency.ts";
import type { HttpContext } from "../context.ts";
import { listGroups } from "../groups/list-groups.ts";
import { HttpError } from "../http-error.ts";
import type { LiveResponse } from "../live-responses.ts";

type OpenWait = (milliseconds: number) => Pick<LiveResponse, "signal" | "finish">;

export async function answerGroups(
  context: HttpContext,
  { prefix, after, limit }: GroupsRequest,
  level: Consistency,
): Promise<GroupsResponse> {
  const { node } = context;
  await reach(context, level);
  return { kind: "groups", position: node.position, ...listGroups(context, prefix, after, Math.max(1, limit)) };
}

export async function answerGroup(
  context: HttpContext,
  request: GroupRequest,
  wait: OpenWait,
  level: Consistency,
): Promise<GroupResponse> {
  const { node, limits } = context;
  const { id, brief } = request;
  await reach(context, level);
  const waitMs = Math.min(request.waitMs, limits.frameWaitMsMax);
  if (waitMs > 0 && outlineOf(context, id).config.mode.kind === "queue")
    await waitForRecords(context, id, waitMs, wait);
  const { position } = node;
  const outline = { kind: "group", position, ...outlineOf(context, id), ready: isReady(context, id) } as const;
  if (brief) return { ...outline, members: [], streams: [] };
  const view = findGroup(context, id);
  const members = view.members();
  const streams = view.streams();
  const lags = await node.groupLag(streams);
  return {
    ...outline,
    members,
    streams: streams.map(({ streamId: _id, ...stream }, place) => {
      const lagMs = lags[place];
      return lagMs === undefined ? stream : { ...stream, lagMs };
    }),
  };
}

/** Until a take would find something, or the group is gone, or the time is over. */
export async function waitForRecords(context: HttpContext, id: string, waitMs: number, wait: OpenWait): Promise<void> {
  if (isReady(context, id)) return;
  const { node } = context;
  const live = wait(waitMs);
  try {
    while (!live.signal.aborted && node.machine.hasGroup(id) && !isReady(context, id)) {
      const until = new AbortController();
      const end = (): void => until.abort();
      live.signal.addEventListener("abort", end, { once: true });
      // What rests is to be had again at a time, and no entry need say so.
      const at = node.machine.takeableAt(id);
      const timer = at === undefined ? undefined : node.clock.schedule(Math.min(at - node.clock.now(), waitMs), end);
      try {
        await node.groupChanged(id, until.signal);
      } finally {
        timer?.cancel();
        live.signal.removeEventListener("abort", end);
      }
    }
  } finally {
    live.finish();
  }
}

/** Throws where there is none. */
export function findGroup({ node }: HttpContext, id: string): GroupView {
  return node.machine.group(id) ?? notFound(id);
}

/** The same, as far as it costs nothing. Throws where there is none. */
export function outlineOf({ node }: HttpContext, id: string): GroupOutline {
  return node.machine.groupOutline(id) ?? notFound(id);
}

function notFound(id: string): never {
  throw new HttpError("group-not-found", `there is no group "${id}"`);
}

/** Whether a take that is proposed now would find something. */
function isReady({ node }: HttpContext, id: string): boolean {
  const at = node.machine.takeableAt(id);
  return at !== undefined && at <= Math.max(node.machine.logTime, node.clock.now());
}
