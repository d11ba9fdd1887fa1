/** What others see of a group: copies, true at the position they were taken at. */
import type { StreamName } from "../../../src/wire/command.ts";
import type { GroupConfig } from "../../../src/wire/group-command.ts";
import type { GroupMember, GroupStream, GroupTotals } from "../../../src/wire/group-look-up.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { Group, GroupLink } from "./group.ts";
import { compareTexts } from "./group-member.ts";
import type { GroupQueue } from "./group-queue.ts";

/** How far a group is in a stream; where in the log that is, in time, is for who reads the log. */
export type GroupStreamView = Omit<GroupStream, "lagMs"> & { readonly streamId: number };

/** What is known of a group without a look at its members and streams, which may be many. */
export type GroupOutline = {
  readonly config: GroupConfig;
  readonly createdAtMs: number;
  readonly deadLettered: number;
  readonly dropped: number;
  readonly unlinked: number;
};

export type GroupView = GroupTotals &
  GroupOutline & {
    readonly memberCount: number;
    readonly streamCount: number;
    /** By name. Taken when called. */
    readonly members: () => readonly GroupMember[];
    /** By name. Taken when called. */
    readonly streams: () => readonly GroupStreamView[];
  };

/** A record that has had all its attempts, and is to go to the dead-letter stream. */
export type DeadRecord = {
  readonly group: string;
  readonly deadLetter: StreamName;
  readonly streamId: number;
  readonly stream: StreamName;
  readonly incarnation: number;
  readonly offset: Offset;
  readonly generation: number;
  readonly attempts: number;
  readonly reason: string;
};

export function outlineOfGroup({ config, createdAtMs, deadLettered, dropped, unlinked }: Group): GroupOutline {
  return { config, createdAtMs, deadLettered, dropped, unlinked };
}

export function viewOfGroup(group: Group): GroupView {
  const { config } = group;
  return {
    ...outlineOfGroup(group),
    memberCount: config.mode.kind === "queue" ? holders(group).length : group.members.size,
    streamCount: group.links.size,
    ...addTotals({ lag: 0, inFlight: 0, resting: 0, dead: 0 }, group.links.values()),
    members: () => (config.mode.kind === "queue" ? holders(group) : members(group)),
    streams: () => [...group.links.values()].map(viewOfLink).sort((a, b) => compareTexts(a.stream, b.stream)),
  };
}

export function totalsOfGroups(groups: Iterable<Group>): GroupTotals {
  const totals = { lag: 0, inFlight: 0, resting: 0, dead: 0 };
  for (const { links } of groups) addTotals(totals, links.values());
  return totals;
}

type Totals = { -readonly [K in keyof GroupTotals]: number };

function addTotals(totals: Totals, links: Iterable<GroupLink>): Totals {
  for (const link of links) {
    const part = totalsOfLink(link);
    totals.lag += part.lag;
    totals.inFlight += part.inFlight;
    totals.resting += part.resting;
    totals.dead += part.dead;
  }
  return totals;
}

function totalsOfLink(link: GroupLink): GroupTotals {
  if (link.kind === "partitions") return { lag: link.lag, inFlight: 0, resting: 0, dead: 0 };
  const { lag, records } = link;
  return {
    lag,
    inFlight: records.countOf("leased"),
    resting: records.countOf("resting"),
    dead: records.countOf("dead"),
  };
}

function viewOfLink(link: GroupLink): GroupStreamView {
  const { stream } = link;
  const owner = link.kind === "partitions" ? link.owner : undefined;
  return {
    streamId: stream.id,
    stream: stream.name,
    incarnation: stream.incarnation,
    ...(owner !== undefined && { owner: owner.name }),
    generation: link.kind === "partitions" ? link.generation : 0,
    committed: link.committed,
    tail: stream.nextOffset,
    ...totalsOfLink(link),
  };
}

function members(group: Group): readonly GroupMember[] {
  const all = [...group.members.values()].sort((a, b) => compareTexts(a.name, b.name));
  return all.map(({ name, session, untilMs, owned }) => ({ name, session, untilMs, holds: owned.size }));
}

/** Of a queue: those who have leases. */
function holders(group: Group): readonly GroupMember[] {
  const byName = new Map<string, { untilMs: number; holds: number }>();
  for (const link of group.links.values()) {
    if (link.kind !== "queue" || link.records.countOf("leased") === 0) continue;
    for (const { from, to, state } of link.records.all) {
      if (state.kind !== "leased") continue;
      const holder = byName.get(state.member) ?? { untilMs: state.untilMs, holds: 0 };
      byName.set(state.member, {
        untilMs: Math.min(holder.untilMs, state.untilMs),
        holds: holder.holds + to - from,
      });
    }
  }
  return [...byName]
    .sort(([a], [b]) => compareTexts(a, b))
    .map(([name, { untilMs, holds }]) => ({ name, session: 0, untilMs, holds }));
}

/** From this offset on, in order of offsets, at most `max`. */
export function deadIn(
  { group, stream, records, next }: GroupQueue,
  start: Offset,
  max: number,
): readonly DeadRecord[] {
  const { deadLetter } = group;
  const dead: DeadRecord[] = [];
  if (deadLetter === undefined) return dead;
  for (const { from, to, state } of records.within(start, next)) {
    if (state.kind !== "dead") continue;
    for (let offset = from; offset < to; offset += 1) {
      if (dead.length >= max) return dead;
      dead.push({
        group: group.id,
        deadLetter,
        streamId: stream.id,
        stream: stream.name,
        incarnation: stream.incarnation,
        offset,
        generation: state.generation,
        attempts: state.attempt,
        reason: state.reason,
      });
    }
  }
  return dead;
}
