/**
 * Looking at consumer groups (SPEC.md, "Consumer groups"): which there are, who shares what in one, and how far behind
 * it is. `request.ts` and `response.ts` have their numbers and put them into frames.
 */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import type { StreamName } from "./command.ts";
import type { GroupConfig, GroupId, GroupMode, MemberName } from "./group-command.ts";
import { readGroupConfig, writeGroupConfig } from "./group-command-codec.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { readBoolean } from "./stream-facts.ts";

/** A page of the groups whose ids begin with `prefix`, in the order of their ids' UTF-16 code units. */
export type GroupsRequest = {
  readonly kind: "groups";
  readonly prefix: string;
  /** Only ids after this; empty: from the first. */
  readonly after: GroupId;
  readonly limit: number;
};

/** With `waitMs` the answer waits, at most so long, until a take would find something in a queue. */
export type GroupRequest = {
  readonly kind: "group";
  readonly id: GroupId;
  readonly waitMs: number;
  /** For whoever only waits: no members and no streams are told, which may be many. */
  readonly brief: boolean;
};

export type GroupLookUpRequest = GroupsRequest | GroupRequest;

/** Sums over all streams of a group, in records. */
export type GroupTotals = {
  /** Neither committed nor settled. */
  readonly lag: number;
  /** Of these, leased, */
  readonly inFlight: number;
  /** resting until their next attempt, */
  readonly resting: number;
  /** and dead, but not yet in the dead-letter stream. */
  readonly dead: number;
};

export type ListedGroup = GroupTotals & {
  readonly id: GroupId;
  readonly mode: GroupMode["kind"];
  readonly members: number;
  readonly streams: number;
};

export type GroupsResponse = {
  readonly kind: "groups";
  readonly position: number;
  readonly groups: readonly ListedGroup[];
  /** The `after` of the next page; absent: this is the last. */
  readonly next?: GroupId;
};

/** Of a queue: who has leases; there are no sessions, and `session` is 0. */
export type GroupMember = {
  readonly name: MemberName;
  readonly session: number;
  /** Log time at which its session, or the first of its leases, ends. */
  readonly untilMs: number;
  /** Streams that it owns, or records that it has leased. */
  readonly holds: number;
};

export type GroupStream = GroupTotals & {
  readonly stream: StreamName;
  readonly incarnation: Incarnation;
  readonly owner?: MemberName;
  /** Of the owner's or, if there is none, the last owner's; 0 in a queue, where leases have their own. */
  readonly generation: number;
  /** Everything before this is processed. */
  readonly committed: Offset;
  readonly tail: Offset;
  /** How long ago, in log time, the first record that is not processed was appended; absent: not known. */
  readonly lagMs?: number;
};

export type GroupResponse = {
  readonly kind: "group";
  readonly position: number;
  readonly config: GroupConfig;
  readonly createdAtMs: number;
  /** Since it was created: records that went to the dead-letter stream, and those that died and went nowhere. */
  readonly deadLettered: number;
  readonly dropped: number;
  /** Since it was created: streams that found no place, for there were too many, and that it does not follow. */
  readonly unlinked: number;
  /** A take would find something. */
  readonly ready: boolean;
  readonly members: readonly GroupMember[];
  readonly streams: readonly GroupStream[];
};

export type GroupLookUpResponse = GroupsResponse | GroupResponse;

const MODES = ["partitions", "queue"] as const satisfies readonly GroupMode["kind"][];
const { textBytesMax: TEXT_BYTES_MAX, itemsMax: ITEMS_MAX } = COMMAND_LIMITS;
const HAS_OWNER = 1;
const HAS_LAG_MS = 2;

export function writeGroups(writer: ByteWriter, { prefix, after, limit }: GroupsRequest): void {
  writer.string(prefix).string(after).varint(limit);
}

export function readGroups(reader: ByteReader): GroupsRequest {
  const prefix = reader.string(TEXT_BYTES_MAX);
  return { kind: "groups", prefix, after: reader.string(TEXT_BYTES_MAX), limit: reader.varint() };
}

export function writeGroup(writer: ByteWriter, { id, waitMs, brief }: GroupRequest): void {
  writer
    .string(id)
    .varint(waitMs)
    .u8(brief ? 1 : 0);
}

export function readGroup(reader: ByteReader): GroupRequest {
  return { kind: "group", id: reader.string(TEXT_BYTES_MAX), waitMs: reader.varint(), brief: readBoolean(reader) };
}

export function writeGroupList(writer: ByteWriter, { groups, next }: GroupsResponse): void {
  writer.varint(groups.length);
  for (const group of groups) {
    writer.string(group.id).u8(MODES.indexOf(group.mode)).varint(group.members).varint(group.streams);
    writeTotals(writer, group);
  }
  writer.u8(next === undefined ? 0 : 1);
  if (next !== undefined) writer.string(next);
}

export function readGroupList(reader: ByteReader, position: number): GroupsResponse {
  const groups = readItems(reader, (): ListedGroup => {
    const id = reader.string(TEXT_BYTES_MAX);
    const mode = MODES[reader.u8()];
    if (mode === undefined) reader.fail();
    const members = reader.varint();
    const streams = reader.varint();
    return { id, mode: mode ?? "partitions", members, streams, ...readTotals(reader) };
  });
  const next = readBoolean(reader) ? reader.string(TEXT_BYTES_MAX) : undefined;
  return { kind: "groups", position, groups, ...(next !== undefined && { next }) };
}

export function writeGroupDescription(writer: ByteWriter, group: GroupResponse): void {
  writer.string(group.config.id);
  writeGroupConfig(writer, group.config);
  writer.varint(group.createdAtMs).varint(group.deadLettered).varint(group.dropped).varint(group.unlinked);
  writer.u8(group.ready ? 1 : 0).varint(group.members.length);
  for (const { name, session, untilMs, holds } of group.members)
    writer.string(name).varint(session).varint(untilMs).varint(holds);
  writer.varint(group.streams.length);
  for (const stream of group.streams) writeGroupStream(writer, stream);
}

export function readGroupDescription(reader: ByteReader, position: number): GroupResponse {
  const config = readGroupConfig(reader.string(TEXT_BYTES_MAX), reader);
  const createdAtMs = reader.varint();
  const deadLettered = reader.varint();
  const dropped = reader.varint();
  const unlinked = reader.varint();
  const ready = readBoolean(reader);
  const members = readItems(reader, (): GroupMember => ({
    name: reader.string(TEXT_BYTES_MAX),
    session: reader.varint(),
    untilMs: reader.varint(),
    holds: reader.varint(),
  }));
  const streams = readItems(reader, () => readGroupStream(reader));
  return { kind: "group", position, config, createdAtMs, deadLettered, dropped, unlinked, ready, members, streams };
}

function writeGroupStream(writer: ByteWriter, stream: GroupStream): void {
  const { owner, lagMs } = stream;
  writer.string(stream.stream).varint(stream.incarnation);
  writer.u8((owner === undefined ? 0 : HAS_OWNER) | (lagMs === undefined ? 0 : HAS_LAG_MS));
  if (owner !== undefined) writer.string(owner);
  writer.varint(stream.generation).varint(stream.committed).varint(stream.tail);
  if (lagMs !== undefined) writer.varint(lagMs);
  writeTotals(writer, stream);
}

function readGroupStream(reader: ByteReader): GroupStream {
  const stream = reader.string(WIRE_LIMITS.nameBytesMax);
  const incarnation = reader.varint();
  const has = reader.u8();
  if (has > (HAS_OWNER | HAS_LAG_MS)) reader.fail();
  const owner = (has & HAS_OWNER) === 0 ? undefined : reader.string(TEXT_BYTES_MAX);
  const generation = reader.varint();
  const committed = reader.varint();
  const tail = reader.varint();
  const lagMs = (has & HAS_LAG_MS) === 0 ? undefined : reader.varint();
  return {
    stream,
    incarnation,
    ...(owner !== undefined && { owner }),
    generation,
    committed,
    tail,
    ...(lagMs !== undefined && { lagMs }),
    ...readTotals(reader),
  };
}

function writeTotals(writer: ByteWriter, { lag, inFlight, resting, dead }: GroupTotals): void {
  writer.varint(lag).varint(inFlight).varint(resting).varint(dead);
}

function readTotals(reader: ByteReader): GroupTotals {
  return { lag: reader.varint(), inFlight: reader.varint(), resting: reader.varint(), dead: reader.varint() };
}

function readItems<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.count(ITEMS_MAX);
  const items: T[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) items.push(read());
  return items;
}
