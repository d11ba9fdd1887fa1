/** Answers `groups` and `group` frames, and whoever else looks at consumer groups, each at a linearizable point. */
import type {
  GroupRequest,
  GroupResponse,
  GroupsRequest,
  GroupsResponse,
  ListedGroup,
} from "../../../src/wire/group-look-up.ts";
import type { GroupView } from "../../streams/group-views.ts";
import type { HttpContext } from "../context.ts";
import { HttpError } from "../http-error.ts";
import type { LiveResponse } from "../live-responses.ts";

type OpenWait = (milliseconds: number) => Pick<LiveResponse, "signal" | "finish">;

export async function answerGroups(context: HttpContext, { after, limit }: GroupsRequest): Promise<GroupsResponse> {
  const { node, limits } = context;
  await node.barrier();
  const max = Math.min(Math.max(1, limit), limits.listedGroupsMax);
  const groups: ListedGroup[] = [];
  const page = (next?: string): GroupsResponse => ({
    kind: "groups",
    position: node.position,
    groups,
    ...(next !== undefined && { next }),
  });
  for (const view of node.machine.groups(after)) {
    if (groups.length >= max) return page(groups.at(-1)?.id);
    const { config, memberCount, streamCount, lag, inFlight, resting, dead } = view;
    const { id, mode } = config;
    groups.push({ id, mode: mode.kind, members: memberCount, streams: streamCount, lag, inFlight, resting, dead });
  }
  return page();
}

export async function answerGroup(context: HttpContext, request: GroupRequest, wait: OpenWait): Promise<GroupResponse> {
  const { node, limits } = context;
  const { id } = request;
  await node.barrier();
  const waitMs = Math.min(request.waitMs, limits.frameWaitMsMax);
  if (waitMs > 0 && findGroup(context, id).config.mode.kind === "queue")
    await waitForRecords(context, id, waitMs, wait);
  const view = findGroup(context, id);
  const { config, createdAtMs, deadLettered, dropped, unlinked } = view;
  const members = view.members();
  const streams = view.streams();
  const ready = isReady(context, id);
  const { position } = node;
  const lags = await node.groupLag(streams);
  return {
    kind: "group",
    position,
    config,
    createdAtMs,
    deadLettered,
    dropped,
    unlinked,
    ready,
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
  const view = node.machine.group(id);
  if (view === undefined) throw new HttpError("group-not-found", `there is no group "${id}"`);
  return view;
}

/** Whether a take that is proposed now would find something. */
function isReady({ node }: HttpContext, id: string): boolean {
  const at = node.machine.takeableAt(id);
  return at !== undefined && at <= Math.max(node.machine.logTime, node.clock.now());
}
