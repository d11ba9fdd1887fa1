/** Commands about groups as a whole: `group-create`, `group-delete`, `group-reset`. */
import { equalBytes, utf8 } from "../../../src/lib/bytes.ts";
import type { CommandResult, Rejection, StreamName } from "../../../src/wire/command.ts";
import type {
  GroupConfig,
  GroupCreateCommand,
  GroupDeleteCommand,
  GroupMode,
  GroupPosition,
  GroupResetCommand,
} from "../../../src/wire/group-command.ts";
import { checkStreamName } from "../../../src/wire/stream-name.ts";
import { checkPattern } from "../glob.ts";
import { configBytes, Group, type GroupLink } from "./group.ts";
import { startIn } from "./group-table.ts";
import type { StreamsLimits } from "../limits.ts";
import { reject, tooMany, whereabouts } from "../rejections.ts";
import type { State } from "../state.ts";
import type { Step } from "../step.ts";
import { findStream } from "../stream-lifecycle.ts";
import type { Stream } from "../stream.ts";

export function createGroup(state: State, step: Step, command: GroupCreateCommand): CommandResult {
  const { id, mode, pattern, from, leaseMs } = command;
  const streams = [...new Set(command.streams)].sort();
  const config: GroupConfig = { id, mode, streams, ...(pattern !== undefined && { pattern }), from, leaseMs };
  const existing = state.groups.get(id);
  if (existing !== undefined) {
    if (equalBytes(configBytes(existing.config), configBytes(config))) return { kind: "group-created", created: false };
    return reject("group-exists", `the group "${id}" exists with another configuration`);
  }
  const refusal = configRefusal(state.limits, config);
  if (refusal !== undefined) return refusal;
  if (state.groups.count >= state.limits.groupsMax) return tooMany("groups", state.limits.groupsMax);
  const group = new Group(config, step.logTime);
  // It is added only if all that it follows finds a place: a refusal leaves nothing behind.
  const wanted = wantedStreams(state, step, group);
  if (!state.groups.hasRoom(group, wanted.length)) {
    return tooMany("streams of one group", state.limits.linksPerGroupMax);
  }
  state.groups.add(group);
  state.ledger.put(group);
  for (const stream of wanted) state.groups.link(group, stream, startIn(group, stream));
  return { kind: "group-created", created: true };
}

export function deleteGroup(state: State, step: Step, command: GroupDeleteCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  state.groups.remove(group);
  // Who waits for it is to hear that it is gone.
  step.groupsReady.add(group.id);
  return { kind: "done" };
}

export function resetGroup(state: State, step: Step, command: GroupResetCommand): CommandResult {
  const group = state.groups.get(command.id);
  if (group === undefined) return unknownGroup(command.id);
  const { groupItemsMax } = state.limits;
  if (command.positions.length > groupItemsMax) return tooMany("positions of one reset", groupItemsMax);
  const targets: { readonly link: GroupLink; readonly offset: number }[] = [];
  for (const position of command.positions) {
    const link = followed(state, step, group, position);
    if ("code" in link) return link;
    if (position.offset > link.stream.nextOffset)
      return reject("malformed-offset", "the offset is past the stream's end", whereabouts(link.stream));
    targets.push({ link, offset: Math.max(position.offset, link.stream.firstOffset) });
  }
  if (!command.force && isBusy(group)) {
    return reject("group-busy", `members of the group "${group.id}" are at work`);
  }
  const generation = targets.length === 0 ? 0 : state.position.drawGeneration();
  for (const { link, offset } of targets) {
    if (link.kind === "queue") {
      // What is dead and before it has still to be kept; all else is done, or given out again.
      const dead = link.records.within(0, offset).filter((run) => run.state.kind === "dead");
      link.records.set(0, link.next, undefined);
      for (const { from, to, state: was } of dead) link.records.set(from, to, was);
      link.next = offset;
      state.groups.refresh(link, step);
    } else {
      link.committed = offset;
      if (link.owner !== undefined) link.generation = generation;
      state.ledger.touch(link);
    }
  }
  return { kind: "done" };
}

export function unknownGroup(id: string): Rejection {
  return reject("group-not-found", `there is no group "${id}"`);
}

export function invalidGroup(message: string): Rejection {
  return reject("invalid-group", message);
}

/** The stream of that name and incarnation as the group follows it. */
export function followed(
  state: State,
  step: Step,
  group: Group,
  { stream: name, incarnation }: Pick<GroupPosition, "stream" | "incarnation">,
): GroupLink | Rejection {
  const stream = findStream(state, step, name);
  const link = stream === undefined ? undefined : group.links.get(stream);
  if (link !== undefined && link.stream.incarnation === incarnation) return link;
  return reject("stream-not-found", `the group "${group.id}" follows no stream "${name}" of this incarnation`);
}

function isBusy(group: Group): boolean {
  if (group.members.size > 0) return true;
  for (const link of group.links.values()) {
    if (link.kind === "queue" && link.records.countOf("leased") > 0) return true;
  }
  return false;
}

function wantedStreams(state: State, step: Step, group: Group): readonly Stream[] {
  const streams: Stream[] = [];
  const consider = (name: StreamName): void => {
    const stream = state.names.get(name);
    if (stream !== undefined && !stream.deleted && !stream.isDue(step.logTime)) streams.push(stream);
  };
  if (group.config.pattern === undefined) group.config.streams.forEach(consider);
  else for (const name of state.names.keys()) if (group.wants(name)) consider(name);
  return streams;
}

function configRefusal(limits: StreamsLimits, config: GroupConfig): Rejection | undefined {
  const { id, mode, streams, pattern, leaseMs } = config;
  if (id === "" || utf8(id).length > limits.groupIdBytesMax) {
    return invalidGroup(`a group's id has between 1 and ${limits.groupIdBytesMax} bytes`);
  }
  const named = checkStreamName(id);
  if (!named.ok) return invalidGroup(`a group's id is one that a stream could have: ${named.error.message}`);
  if (pattern === undefined && streams.length === 0) return invalidGroup("a group has a pattern, or streams");
  if (streams.length > limits.groupStreamsMax) return tooMany("streams named by one group", limits.groupStreamsMax);
  if (leaseMs < limits.groupLeaseMsMin || leaseMs > limits.groupLeaseMsMax) {
    return invalidGroup(`a lease is between ${limits.groupLeaseMsMin} and ${limits.groupLeaseMsMax} ms`);
  }
  if (pattern !== undefined) {
    const checked = checkPattern(pattern, limits);
    if (!checked.ok) return invalidGroup(checked.error);
  }
  for (const name of streams) {
    if (!checkStreamName(name).ok) return invalidGroup(`the stream name "${name}" is not allowed`);
  }
  return mode.kind === "queue" ? queueRefusal(limits, mode, streams) : undefined;
}

function queueRefusal(
  limits: StreamsLimits,
  { attemptsMax, retryDelayMs, deadLetter }: Extract<GroupMode, { readonly kind: "queue" }>,
  streams: readonly StreamName[],
): Rejection | undefined {
  if (attemptsMax > limits.groupAttemptsMax) {
    return invalidGroup(`a record has at most ${limits.groupAttemptsMax} attempts, or, with 0, as many as it takes`);
  }
  if (retryDelayMs > limits.groupDelayMsMax) return invalidGroup(`a record rests at most ${limits.groupDelayMsMax} ms`);
  if (deadLetter === undefined) return undefined;
  if (attemptsMax === 0) return invalidGroup("without a bound on attempts no record goes to a dead-letter stream");
  if (!checkStreamName(deadLetter).ok) return invalidGroup("the dead-letter stream's name is not allowed");
  if (streams.includes(deadLetter)) return invalidGroup("a group cannot follow its own dead-letter stream");
  return undefined;
}
