/**
 * Changes of the configuration. One at a time; each takes effect where it is applied, on every node at the same entry.
 * Any leader ends a joint configuration, and makes learners voters that were added to be ones, once they have had all
 * that was committed for an election time-out without a break.
 *
 * Who votes by now is written once more: a leader that is gone right after it applied the end of a joint configuration is
 * the only one to know that this is committed, and the others, who count by both halves, might not do without it.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { LogIndex } from "../../src/wire/entry.ts";
import { maybeCommit } from "./commit.ts";
import {
  type ChangeError,
  changedConfiguration,
  finishedConfiguration,
  type MembershipChange,
  promotedConfiguration,
} from "./config-change.ts";
import { encodeConfiguration } from "./configuration-codec.ts";
import { type Configuration, isJoint, isVoter, membersOf } from "./configuration.ts";
import { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { confirmReads } from "./reads.ts";
import { replicate } from "./replication.ts";
import type { Leader } from "./role.ts";

export type ConfigurationError = ChangeError | "not-leader" | "transferring";

/** The change is in the log, perhaps not for good. Returns where. */
export function proposeChange(raft: Raft, changes: readonly MembershipChange[]): Result<LogIndex, ConfigurationError> {
  const leader = raft.role;
  if (leader.kind !== "leader") return err("not-leader");
  if (leader.transfer !== undefined) return err("transferring");
  if (!settled(raft, leader)) return err("change-under-way");
  const next = changedConfiguration(raft.configuration, changes);
  return next.ok ? ok(appendConfiguration(raft, leader, next.value)) : next;
}

/** Configurations were applied, each behind the one before: the last one counts. */
export function takeEffect(raft: Raft, configurations: readonly Configuration[]): void {
  const leader = raft.role;
  // Who leaves is told that this is committed while it is still a follower.
  if (leader.kind === "leader") replicate(raft, leader, true);
  for (const each of configurations) adopt(raft, each);
  const { configuration } = raft;
  if (leader.kind !== "leader") {
    // Others may not know yet, and vote for it: a leader without a vote would never find that it has to go.
    if (leader.kind === "candidate" && !isVoter(configuration, raft.id)) raft.becomeFollower(raft.term, undefined);
    return;
  }
  const members = membersOf(configuration);
  for (const id of leader.followers.keys()) if (!members.includes(id)) leader.followers.delete(id);
  for (const id of members) {
    if (id !== raft.id && !leader.followers.has(id)) leader.followers.set(id, new Progress(id, raft.log.lastIndex + 1));
  }
  if (!isVoter(configuration, raft.id)) {
    raft.becomeFollower(raft.term, undefined);
    return;
  }
  if (leader.transfer !== undefined && !isVoter(configuration, leader.transfer.to)) leader.transfer = undefined;
  // Quorums are others now (P19).
  maybeCommit(raft, leader);
  confirmReads(raft, leader);
}

/** It counts from now on. Where the same vote as before, one configuration stands in the log behind another (R37). */
export function adopt(raft: Raft, configuration: Configuration): void {
  const { voters } = raft.configuration;
  raft.proven = configuration.voters.join() === voters.join() && !isJoint(raft.configuration);
  raft.configuration = configuration;
}

/** Ends a joint configuration that has taken effect, and says once more how it ended. */
export function finishChange(raft: Raft, leader: Leader): void {
  if (!isChanging(raft) || !settled(raft, leader)) return;
  const { configuration } = raft;
  appendConfiguration(raft, leader, isJoint(configuration) ? finishedConfiguration(configuration) : configuration);
}

/** Who votes is, or it takes whoever leads now to know that it is not any more. */
export function isChanging({ configuration, proven }: Raft): boolean {
  return isJoint(configuration) || !proven;
}

/** Once a tick: who has kept up for long enough is promoted. */
export function promoteLearners(raft: Raft, leader: Leader): void {
  const ready: string[] = [];
  for (const { id, wanted } of raft.configuration.learners) {
    const progress = leader.followers.get(id);
    if (progress === undefined) continue;
    const keepsUp =
      progress.flow.kind === "replicate" &&
      progress.match >= leader.committedBefore &&
      progress.silentTicks <= 2 * raft.options.heartbeatTicks;
    progress.caughtUpTicks = keepsUp ? progress.caughtUpTicks + 1 : 0;
    if (wanted === "voter" && progress.caughtUpTicks >= raft.options.electionTicks) ready.push(id);
  }
  leader.committedBefore = raft.log.committed;
  if (ready.length === 0 || isJoint(raft.configuration) || leader.transfer !== undefined || !settled(raft, leader))
    return;
  appendConfiguration(raft, leader, promotedConfiguration(raft.configuration, ready));
}

/** No configuration waits in the log, and this term has begun: only then is it known what the last one is (P17). */
function settled(raft: Raft, leader: Leader): boolean {
  return raft.log.applied >= leader.configurationIndex;
}

function appendConfiguration(raft: Raft, leader: Leader, configuration: Configuration): LogIndex {
  const index = raft.log.lastIndex + 1;
  const head = encodeConfiguration(configuration);
  raft.log.append({ index, term: raft.term, kind: "configuration", logTime: 0, head, batches: [] });
  leader.configurationIndex = index;
  return index;
}
