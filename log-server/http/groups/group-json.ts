/** Groups as native HTTP takes and shows them. */
import { type Static, Type } from "typebox";
import { formatOffset } from "../../../src/record/offset.ts";
import type { GroupAssignedResult, GroupCreateCommand } from "../../../src/wire/group-command.ts";
import { completeGroup } from "../../../src/wire/group-defaults.ts";
import type { GroupResponse, GroupStream, ListedGroup } from "../../../src/wire/group-look-up.ts";
import { HttpError } from "../http-error.ts";
import { Count } from "../schemas.ts";

const Mode = Type.Union([Type.Literal("partitions"), Type.Literal("queue")], {
  description: "members share the streams, or their records",
});

const CONFIG = {
  streams: Type.Optional(Type.Array(Type.String(), { description: "named, whether or not they are there yet" })),
  pattern: Type.Optional(
    Type.String({ description: "and all whose names match: `*` is one segment, `**` any number" }),
  ),
  from: Type.Optional(
    Type.Union([Type.Literal("start"), Type.Literal("now")], {
      description: "where it begins in them; default: start",
    }),
  ),
  leaseMs: Type.Optional(
    Type.Integer({
      minimum: 0,
      description: "a member's session, or a record's lease, without a word; default: 30000",
    }),
  ),
  attemptsMax: Type.Optional(
    Type.Integer({ minimum: 0, description: "of a queue: leases of a record; 0: any number; with deadLetter 5" }),
  ),
  retryDelayMs: Type.Optional(
    Type.Integer({ minimum: 0, description: "of a queue: how long a record rests that was refused; default: 1000" }),
  ),
  deadLetter: Type.Optional(
    Type.String({ description: "of a queue: the stream where records go that have had all attempts" }),
  ),
};

export const CreateGroupBody = Type.Object({ mode: Mode, ...CONFIG }, { additionalProperties: false });

export function createGroupCommand(id: string, body: Static<typeof CreateGroupBody>): GroupCreateCommand {
  const config = completeGroup(id, body);
  if (!config.ok) throw new HttpError("invalid-group", config.error);
  return { kind: "group-create", ...config.value };
}

const TOTALS = {
  lag: Type.Integer({ description: "records that are not processed" }),
  inFlight: Type.Integer({ description: "of these, leased" }),
  resting: Type.Integer({ description: "waiting for their next attempt" }),
  dead: Type.Integer({ description: "without attempts left, on their way to the dead-letter stream" }),
};

export const ListedGroupOut = Type.Object({
  id: Type.String(),
  mode: Mode,
  members: Count,
  streams: Count,
  ...TOTALS,
});

const ProgressOut = Type.Object({
  stream: Type.String(),
  incarnation: Count,
  owner: Type.Optional(Type.String()),
  generation: Type.Integer({ description: "of its owner, or of the last one; 0 in a queue" }),
  committed: Type.Integer({ description: "everything before this is processed" }),
  token: Type.String({ description: "the same as a token" }),
  tail: Type.Integer({ description: "the offset that the next record will have" }),
  ...TOTALS,
  lagMs: Type.Optional(
    Type.Integer({ description: "how long ago the first record came that is not processed, if that is known" }),
  ),
});

export const DescribedGroup = Type.Object({
  id: Type.String(),
  mode: Mode,
  streams: Type.Array(Type.String()),
  pattern: Type.Optional(Type.String()),
  from: Type.Union([Type.Literal("start"), Type.Literal("now")]),
  leaseMs: Count,
  attemptsMax: Type.Optional(Count),
  retryDelayMs: Type.Optional(Count),
  deadLetter: Type.Optional(Type.String()),
  createdAtMs: Count,
  ...TOTALS,
  deadLettered: Type.Integer({ description: "records that went to the dead-letter stream so far" }),
  dropped: Type.Integer({ description: "records that had no attempts left and went nowhere" }),
  unlinked: Type.Integer({
    description: "streams that came when it, or all groups, followed too many: made anew, it follows them",
  }),
  ready: Type.Boolean({ description: "a take would find something" }),
  members: Type.Array(
    Type.Object({
      name: Type.String(),
      session: Type.Integer({ description: "0 in a queue" }),
      untilMs: Type.Integer({ description: "log time at which its session, or the first of its leases, ends" }),
      holds: Type.Integer({ description: "streams that it owns, or records that it has leased" }),
    }),
  ),
  progress: Type.Array(ProgressOut, { description: "of each stream that it follows" }),
});

export function listedGroupJson({ id, mode, members, streams, ...totals }: ListedGroup): object {
  return { id, mode, members, streams, ...totalsJson(totals) };
}

export function describedGroupJson(group: GroupResponse): object {
  const { config, createdAtMs, deadLettered, dropped, unlinked, ready, members, streams } = group;
  const { id, mode, pattern, from, leaseMs } = config;
  const { kind, ...queue } = mode;
  const totals = { lag: 0, inFlight: 0, resting: 0, dead: 0 };
  for (const stream of streams) {
    totals.lag += stream.lag;
    totals.inFlight += stream.inFlight;
    totals.resting += stream.resting;
    totals.dead += stream.dead;
  }
  return {
    id,
    mode: kind,
    streams: config.streams,
    ...(pattern !== undefined && { pattern }),
    from,
    leaseMs,
    ...queue,
    createdAtMs,
    ...totals,
    deadLettered,
    dropped,
    unlinked,
    ready,
    members: members.map(({ name, session, untilMs, holds }) => ({ name, session, untilMs, holds })),
    progress: streams.map(progressJson),
  };
}

function progressJson(progress: GroupStream): object {
  const { stream, incarnation, owner, generation, committed, tail, lagMs } = progress;
  return {
    stream,
    incarnation,
    ...(owner !== undefined && { owner }),
    generation,
    committed,
    token: formatOffset(incarnation, committed),
    tail,
    ...totalsJson(progress),
    ...(lagMs !== undefined && { lagMs }),
  };
}

function totalsJson({ lag, inFlight, resting, dead }: Pick<GroupStream, keyof typeof TOTALS>): object {
  return { lag, inFlight, resting, dead };
}

export const AssignedOut = Type.Object({
  session: Type.Integer({ description: "what the member shows from now on" }),
  leaseMs: Type.Integer({ description: "without a word for so long, the session ends" }),
  assignments: Type.Array(
    Type.Object({
      stream: Type.String(),
      incarnation: Count,
      generation: Type.Integer({ description: "what acknowledgements of this stream show" }),
      committed: Type.Integer({ description: "where to go on" }),
      token: Type.String({ description: "the same as a token" }),
    }),
    { description: "all that is the member's now" },
  ),
});

export function assignedJson({ session, leaseMs, assignments }: GroupAssignedResult): object {
  return {
    session,
    leaseMs,
    assignments: assignments.map(({ stream, incarnation, generation, committed }) => ({
      stream,
      incarnation,
      generation,
      committed,
      token: formatOffset(incarnation, committed),
    })),
  };
}
