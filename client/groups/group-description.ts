/** What the SDK tells of a consumer group: in a listing, and in full. */
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { GroupMode, GroupStart } from "../../src/wire/group-command.ts";
import type {
  GroupMember,
  GroupResponse,
  GroupStream,
  GroupTotals,
  ListedGroup,
} from "../../src/wire/group-look-up.ts";

/** A group as `client.groups()` lists it. `lag`: records that are not processed. */
export type GroupInfo = GroupTotals & {
  readonly id: string;
  readonly mode: GroupMode["kind"];
  /** Members, or in a queue those who hold records. */
  readonly members: number;
  readonly streams: number;
};

/** How far a group is in a stream. */
export type GroupProgress = GroupTotals & {
  readonly stream: string;
  readonly incarnation: Incarnation;
  /** Whose it is now. */
  readonly owner?: string;
  /** Of its owner, or of the last; 0 in a queue. */
  readonly generation: number;
  /** Everything before this is processed. */
  readonly committed: Offset;
  /** The offset that the next record will have. */
  readonly tail: Offset;
  /** How long ago the first record was appended that is not processed, if that is known. */
  readonly lagMs?: number;
};

/** Who is at work, until when by the log's time, and how many streams or records they hold. */
export type GroupMemberInfo = {
  readonly name: string;
  readonly until: Date;
  readonly holds: number;
};

/** All there is to know of a group. */
export type GroupDescription = GroupTotals & {
  readonly id: string;
  readonly mode: GroupMode["kind"];
  /** Those that it names; `progress` has those that it follows. */
  readonly streams: readonly string[];
  readonly pattern?: string;
  readonly from: GroupStart;
  readonly leaseMs: number;
  readonly attemptsMax?: number;
  readonly retryDelayMs?: number;
  readonly deadLetter?: string;
  readonly createdAt: Date;
  /** Records that went to the dead-letter stream, and those that had no attempts left and went nowhere. */
  readonly deadLettered: number;
  readonly dropped: number;
  /** Streams that came when it, or all groups, followed too many, and that it does not follow. Made anew, it does. */
  readonly unlinked: number;
  readonly members: readonly GroupMemberInfo[];
  readonly progress: readonly GroupProgress[];
};

export function toGroupInfo({ id, mode, members, streams, lag, inFlight, resting, dead }: ListedGroup): GroupInfo {
  return { id, mode, members, streams, lag, inFlight, resting, dead };
}

export function toGroupDescription(group: GroupResponse): GroupDescription {
  const { config, createdAtMs, deadLettered, dropped, unlinked } = group;
  const { id, mode, streams, pattern, from, leaseMs } = config;
  const { kind, ...queue } = mode;
  return {
    id,
    mode: kind,
    streams,
    ...(pattern !== undefined && { pattern }),
    from,
    leaseMs,
    ...queue,
    createdAt: new Date(createdAtMs),
    ...sumOf(group.streams),
    deadLettered,
    dropped,
    unlinked,
    members: group.members.map(toMember),
    progress: group.streams.map(toProgress),
  };
}

function toMember({ name, untilMs, holds }: GroupMember): GroupMemberInfo {
  return { name, until: new Date(untilMs), holds };
}

function toProgress(progress: GroupStream): GroupProgress {
  const { stream, incarnation, owner, generation, committed, tail, lag, inFlight, resting, dead, lagMs } = progress;
  return {
    stream,
    incarnation,
    ...(owner !== undefined && { owner }),
    generation,
    committed,
    tail,
    lag,
    inFlight,
    resting,
    dead,
    ...(lagMs !== undefined && { lagMs }),
  };
}

function sumOf(streams: readonly GroupStream[]): GroupTotals {
  const sum = { lag: 0, inFlight: 0, resting: 0, dead: 0 };
  for (const { lag, inFlight, resting, dead } of streams) {
    sum.lag += lag;
    sum.inFlight += inFlight;
    sum.resting += resting;
    sum.dead += dead;
  }
  return sum;
}
