/** Answers of the own storage: what is durable, applied, installed, trimmed. They count in every role. */
import { assert } from "../../src/lib/assert.ts";
import { maybeCommit } from "./commit.ts";
import { countOwnVote } from "./election.ts";
import { acknowledge } from "./following.ts";
import { adopt, finishChange, takeEffect } from "./membership.ts";
import type { Raft } from "./raft.ts";
import type { AppendDone, ApplyDone, InstallDone, Mended, Trimmed } from "./types.ts";

export function onAppendDone(raft: Raft, done: AppendDone): void {
  const work = raft.appending;
  assert(work?.done === done, "one append is in flight at a time, answered once");
  raft.appending = undefined;
  // What a snapshot is about to replace says nothing of what that stands for (R51).
  if (raft.installing === undefined) raft.log.written(work.entries);
  if (work.hardState !== undefined) raft.persisted(work.hardState);
  stableMoved(raft);
  trimWindow(raft);
  if (raft.role.kind === "candidate" && raft.durable === raft.hardState) countOwnVote(raft, raft.role);
}

/** More, or other, entries are known to be durable. */
export function stableMoved(raft: Raft): void {
  raft.settleAmbiguity();
  const role = raft.role;
  if (role.kind === "leader") maybeCommit(raft, role);
  if (role.kind === "follower") acknowledge(raft, role, false);
}

export function onApplyDone(raft: Raft, { index }: ApplyDone): void {
  const configurations = raft.log.appliedTo(index);
  if (configurations.length > 0) takeEffect(raft, configurations);
  trimWindow(raft);
  if (raft.role.kind === "leader") finishChange(raft, raft.role);
}

export function onInstallDone(raft: Raft, { index }: InstallDone): void {
  const snapshot = raft.installing?.snapshot;
  assert(snapshot?.index === index, "I4: the snapshot that was asked for is installed");
  raft.installing = undefined;
  raft.log.installed(snapshot);
  // Whatever configuration the log had before is replaced with it (P20).
  adopt(raft, snapshot.configuration);
  stableMoved(raft);
}

export function onTrimmed(raft: Raft, { firstIndex }: Trimmed): void {
  raft.log.trimmed(firstIndex);
}

export function onMended(raft: Raft, mended: Mended): void {
  // What a snapshot is about to replace tells nothing any more.
  if (raft.installing === undefined) raft.log.learn(mended);
}

/** What followers still need is kept in memory, within bounds. */
function trimWindow(raft: Raft): void {
  const role = raft.role;
  let wanted = raft.log.applied;
  if (role.kind === "leader")
    for (const { flow, match } of role.followers.values())
      if (flow.kind === "replicate") wanted = Math.min(wanted, match);
  raft.log.trimWindow(wanted, raft.limits.keptBytesMax);
}
