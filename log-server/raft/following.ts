/**
 * What a follower does with its leader's messages: takes entries, learns what is committed, takes a snapshot; and tells
 * what it holds durably, which is derived from the log each time rather than remembered for each message (P7).
 */
import type { Append, Heartbeat, SnapshotOffer } from "./message.ts";
import type { Raft } from "./raft.ts";
import type { Candidate, Follower, PreCandidate } from "./role.ts";
import type { NodeId } from "./types.ts";

/** The leader was heard: its messages are of the own term, so it is this term's one leader (I1). */
function follow(raft: Raft, role: Follower | PreCandidate | Candidate, leader: NodeId): Follower {
  if (role.kind === "follower" && role.leader === leader) {
    role.elapsedTicks = 0;
    return role;
  }
  raft.becomeFollower(raft.term, leader);
  return raft.role as Follower;
}

export function onAppend(raft: Raft, role: Follower | PreCandidate | Candidate, message: Append): void {
  const follower = follow(raft, role, message.from);
  const { log } = raft;
  const { prev, entries } = message;
  const last = prev.index + entries.length;
  // What is committed here agrees with every leader's log, and its terms may be forgotten.
  if (prev.index >= log.committed && !log.matches(prev)) {
    refuse(raft, message.from, prev.index, log.atMost(Math.min(prev.index, log.lastIndex), prev.term).index);
    return;
  }
  log.merge(entries);
  follower.matched = Math.max(follower.matched, Math.min(last, log.lastIndex), log.committed);
  log.commitTo(Math.min(message.committed, follower.matched));
  acknowledge(raft, follower, true);
}

export function onHeartbeat(raft: Raft, role: Follower | PreCandidate | Candidate, message: Heartbeat): void {
  follow(raft, role, message.from);
  const { log } = raft;
  // Less than the leader believes after damage to the log's end: what is there is right all the same (P6).
  log.commitTo(Math.min(message.committed, log.lastIndex));
  const { standsBack, term } = raft;
  raft.send({ kind: "heartbeat-answer", to: message.from, term, round: message.round, standsBack });
  if (raft.ambiguousEnd !== undefined) refuse(raft, message.from, 0, log.lastIndex);
}

/** The snapshot itself is on the disk already, whole and verified; this decides whether it takes the log's place. */
export function onSnapshot(raft: Raft, role: Follower | PreCandidate | Candidate, message: SnapshotOffer): void {
  const follower = follow(raft, role, message.from);
  const { log } = raft;
  const { snapshot } = message;
  // One at a time (P23); the leader hears of this one and goes on from there.
  if (raft.installing !== undefined) return;
  if (snapshot.index > log.committed && !log.matches(snapshot)) {
    log.restore(snapshot);
    raft.installing = { snapshot, handed: false };
    follower.matched = Math.max(follower.matched, snapshot.index);
    return;
  }
  // The log reaches it: nothing that agrees is thrown away for it (P8).
  log.commitTo(snapshot.index);
  follower.matched = Math.max(follower.matched, log.committed);
  acknowledge(raft, follower, true);
}

/**
 * Tells the leader what is durable here and known to be as in its log. An `answer` is told even if that is no news, for
 * what was told before may be lost; but not before all of it is durable: until then the sync's own word is on its way.
 */
export function acknowledge(raft: Raft, follower: Follower, answer: boolean): void {
  if (follower.leader === undefined) return;
  const index = Math.min(follower.matched, raft.log.stable);
  if (answer ? index < follower.matched : index <= follower.acknowledged) return;
  follower.acknowledged = index;
  raft.send({ kind: "append-accepted", to: follower.leader, term: raft.term, index });
}

function refuse(raft: Raft, to: NodeId, index: number, newest: number): void {
  const { log } = raft;
  // All that is committed here the leader has, too.
  const at = Math.max(newest, log.committed);
  const hint = { index: at, term: log.term(at) ?? 0 };
  raft.send({ kind: "append-refused", to, term: raft.term, index, hint, lost: raft.ambiguousEnd !== undefined });
}
