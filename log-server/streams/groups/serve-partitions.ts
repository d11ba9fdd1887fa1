/** Commands by which members share a group's streams: `group-join`, `group-leave`, `group-heartbeat`, `group-ack`. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { CommandResult, Rejection } from "../../../src/wire/command.ts";
import type {
  GroupAckCommand,
  GroupAssignedResult,
  GroupHeartbeatCommand,
  GroupJoinCommand,
  GroupLeaveCommand,
  GroupRefusal,
  GroupSession,
} from "../../../src/wire/group-command.ts";
import type { Group } from "./group.ts";
import { balanceGroups, handOver } from "./group-balance.ts";
import { GroupMember } from "./group-member.ts";
import type { GroupPartition } from "./group-partition.ts";
import { followed, invalidGroup, unknownGroup } from "./manage-group.ts";
import { reject, tooMany, whereabouts } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";

export function joinGroup(state: State, step: Step, command: GroupJoinCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  if (group.config.mode.kind !== "partitions") return invalidGroup("a queue has no members: records are taken");
  const { limits } = state;
  const refusal = memberRefusal(state, command.member);
  if (refusal !== undefined) return refusal;
  const session = (): number => state.position.drawGeneration();
  let member = group.members.get(command.member);
  if (member === undefined) {
    if (group.members.size >= limits.membersPerGroupMax)
      return tooMany("members of one group", limits.membersPerGroupMax);
    if (state.groups.memberCount >= limits.groupMembersMax) return tooMany("members", limits.groupMembersMax);
    member = new GroupMember(group, command.member, session(), endOfSession(step, group));
    state.groups.addMember(member);
    state.ledger.put(member);
    step.unbalanced.add(group);
    balanceGroups(state, step);
    return assigned(member);
  }
  // Another process of this name, or the same once more: what its name owned, it owns, and nobody else need move.
  member.session = session();
  for (const partition of [...member.owned]) handOver(state, partition, member, member.session);
  renew(state, step, member);
  return assigned(member);
}

export function leaveGroup(state: State, step: Step, command: GroupLeaveCommand): CommandResult {
  const member = memberOf(state, command);
  if ("code" in member) return member;
  endSession(state, step, member);
  return { kind: "done" };
}

export function heartbeatGroup(state: State, step: Step, command: GroupHeartbeatCommand): CommandResult {
  const member = memberOf(state, command);
  if ("code" in member) return member;
  renew(state, step, member);
  return assigned(member);
}

export function ackPartitions(state: State, step: Step, command: GroupAckCommand): CommandResult {
  const member = memberOf(state, command);
  if ("code" in member) return member;
  const { group } = member;
  const { groupItemsMax } = state.limits;
  if (command.acks.length > groupItemsMax) return tooMany("acknowledgements of one command", groupItemsMax);
  const current: { readonly partition: GroupPartition; readonly offset: number }[] = [];
  const refused: GroupRefusal[] = [];
  for (const [item, ack] of command.acks.entries()) {
    const link = followed(state, step, group, ack);
    const isOwn = "kind" in link && link.kind === "partitions" && link.owner === member;
    if (!isOwn || link.generation !== ack.generation) {
      refused.push({ item, offset: ack.offset, count: 0 });
      continue;
    }
    if (ack.offset > link.stream.nextOffset)
      return reject("malformed-offset", "the offset is past the stream's end", whereabouts(link.stream));
    current.push({ partition: link, offset: ack.offset });
  }
  if (current.length === 0 && refused.length > 0) return fenced(group, "none of these streams is the member's so");
  for (const { partition, offset } of current) {
    if (offset <= partition.committed) continue;
    partition.committed = offset;
    state.ledger.touch(partition);
  }
  renew(state, step, member);
  return { kind: "group-settled", refused };
}

/** Left, or not heard of for too long: what it owned goes to others. */
export function endSession(state: State, step: Step, member: GroupMember): void {
  const { group } = member;
  state.groups.removeMember(member);
  if (member.owned.size > 0) {
    const generation = state.position.drawGeneration();
    for (const partition of [...member.owned]) handOver(state, partition, undefined, generation);
  }
  step.unbalanced.add(group);
}

export function memberRefusal(state: State, name: string): Rejection | undefined {
  const { memberNameBytesMax } = state.limits;
  if (name !== "" && utf8(name).length <= memberNameBytesMax) return undefined;
  return invalidGroup(`a member's name has between 1 and ${memberNameBytesMax} bytes`);
}

export function fenced(group: Group, message: string): Rejection {
  return reject("fenced", `the group "${group.id}" refuses: ${message}`);
}

function memberOf(state: State, { id, member: name, session }: GroupSession): GroupMember | Rejection {
  const group = state.groups.get(id);
  if (group === undefined) return unknownGroup(id);
  const member = group.members.get(name);
  if (member === undefined) return fenced(group, `"${name}" has no session`);
  if (member.session === session) return member;
  return reject("fenced", `the group "${id}" refuses: "${name}" has another session`, { generation: member.session });
}

function renew(state: State, step: Step, member: GroupMember): void {
  member.untilMs = endOfSession(step, member.group);
  state.groups.sessions.set(member.deadline, member.untilMs);
  state.ledger.touch(member);
}

function endOfSession(step: Step, group: Group): number {
  return Math.min(step.logTime + group.config.leaseMs, Number.MAX_SAFE_INTEGER);
}

function assigned(member: GroupMember): GroupAssignedResult {
  const owned = [...member.owned].sort((a, b) => a.stream.id - b.stream.id);
  return {
    kind: "group-assigned",
    session: member.session,
    leaseMs: member.group.config.leaseMs,
    assignments: owned.map(({ stream, generation, committed }) => ({
      stream: stream.name,
      incarnation: stream.incarnation,
      generation,
      committed,
    })),
  };
}
