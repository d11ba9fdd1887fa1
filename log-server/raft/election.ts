/** Elections: pre-votes, votes, and the beginning of a term. */
import { membersOf, votersOf } from "./configuration.ts";
import { jointVote } from "./joint-quorum.ts";
import type { CampaignNow, PreVote, PreVoteAnswer, Vote, VoteAnswer } from "./message.ts";
import { Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { reaches } from "./raft-log.ts";
import { LeaderReads } from "./read-index.ts";
import type { Candidate, Follower, Leader, PreCandidate, Role } from "./role.ts";
import type { LogPoint, NodeId } from "./types.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

/** Asks whether it would be elected. Does nothing where it must not stand. */
export function preCampaign(raft: Raft): void {
  if (raft.role.kind === "leader" || !raft.electable) return;
  raft.becomePreCandidate();
  const term = raft.term + 1;
  const { committedPoint: committed } = raft;
  for (const to of others(raft)) raft.send({ kind: "pre-vote", to, term, last: raft.log.last, committed });
  countPreVotes(raft, raft.role as PreCandidate);
}

/** Stands for election. The requests leave, and the own vote counts, once that vote is durable (I1, P4). */
export function campaign(raft: Raft, transfer: boolean): void {
  raft.becomeCandidate();
  const { committedPoint: committed, term } = raft;
  for (const to of others(raft)) raft.send({ kind: "vote", to, term, last: raft.log.last, committed, transfer });
}

/** The own vote became durable. */
export function countOwnVote(raft: Raft, candidate: Candidate): void {
  candidate.votes.set(raft.id, true);
  countVotes(raft, candidate);
}

export function onPreVote(raft: Raft, role: Role, message: PreVote): void {
  raft.learnCommitted(message.committed);
  // Nobody asks for a leader while there is one, see `term-gate.ts`; granting it promises nothing.
  const granted = message.term > raft.term && role.kind !== "leader" && mayElect(raft, message.last);
  const term = granted ? message.term : raft.term;
  const { committedPoint: committed } = raft;
  raft.send({ kind: "pre-vote-answer", to: message.from, term, granted, committed });
}

export function onPreVoteAnswer(raft: Raft, preCandidate: PreCandidate, message: PreVoteAnswer): void {
  raft.learnCommitted(message.committed);
  // Granted for an earlier attempt: the term has moved on.
  if (message.granted && message.term !== raft.term + 1) return;
  recordVote(preCandidate.votes, message.from, message.granted);
  countPreVotes(raft, preCandidate);
}

export function onVote(raft: Raft, role: Follower | PreCandidate, message: Vote): void {
  raft.learnCommitted(message.committed);
  const { vote } = raft.hardState;
  const free = vote === undefined ? raft.leader === undefined : vote === message.from;
  const granted = free && mayElect(raft, message.last);
  if (granted) {
    if (vote === undefined) raft.hardState = { term: raft.term, vote: message.from };
    if (role.kind === "follower") role.elapsedTicks = 0;
    else raft.becomeFollower(raft.term, undefined);
  }
  answerVote(raft, message.from, granted);
}

/** It has voted for itself. */
export function refuseVote(raft: Raft, _role: Role, message: Vote): void {
  raft.learnCommitted(message.committed);
  answerVote(raft, message.from, false);
}

export function onVoteAnswer(raft: Raft, candidate: Candidate, message: VoteAnswer): void {
  raft.learnCommitted(message.committed);
  recordVote(candidate.votes, message.from, message.granted);
  countVotes(raft, candidate);
}

/** The leader hands over: nobody has to be asked first whether it is still there. */
export function onCampaignNow(raft: Raft, follower: Follower, message: CampaignNow): void {
  if (follower.leader !== message.from || !raft.electable || raft.standsBack) return;
  campaign(raft, true);
}

function answerVote(raft: Raft, to: NodeId, granted: boolean): void {
  const { committedPoint: committed, term } = raft;
  raft.send({ kind: "vote-answer", to, term, granted, committed });
}

/**
 * Raft §5.4.1, and the rule of the ambiguous end: what this node perhaps acknowledged and cannot show any more, the one
 * it votes for must have (I13).
 */
function mayElect(raft: Raft, last: LogPoint): boolean {
  return raft.log.reachedBy(last) && (raft.ambiguousEnd === undefined || reaches(last, raft.ambiguousEnd));
}

function recordVote(votes: Map<NodeId, boolean>, from: NodeId, granted: boolean): void {
  // The first word counts: a duplicate says the same, and a refusal of another attempt is no refusal of this one.
  if (!votes.has(from)) votes.set(from, granted);
}

function countPreVotes(raft: Raft, { votes }: PreCandidate): void {
  switch (jointVote(raft.configuration, (id) => votes.get(id))) {
    case "won":
      // What was learnt meanwhile may be in the way.
      if (raft.electable) campaign(raft, false);
      else raft.becomeFollower(raft.term, undefined);
      return;
    case "lost":
      raft.becomeFollower(raft.term, undefined);
      return;
    case "pending":
      return;
  }
}

function countVotes(raft: Raft, { votes }: Candidate): void {
  switch (jointVote(raft.configuration, (id) => votes.get(id))) {
    case "won":
      // Without its own vote, which may not be durable yet, it would lead in a term that it could forget.
      if (raft.durable === raft.hardState) lead(raft);
      return;
    case "lost":
      raft.becomeFollower(raft.term, undefined);
      return;
    case "pending":
      return;
  }
}

/** The term begins, with a no-op: what was there before is committed through it. */
function lead(raft: Raft): void {
  const { log } = raft;
  const termStart = log.lastIndex + 1;
  const followers = new Map<NodeId, Progress>();
  for (const id of membersOf(raft.configuration)) if (id !== raft.id) followers.set(id, new Progress(id, termStart));
  const leader: Leader = {
    kind: "leader",
    termStart,
    followers,
    reads: new LeaderReads(),
    heartbeatTicks: 0,
    committedBefore: log.committed,
    stableBefore: log.stable,
    stuckTicks: 0,
    untilHandOverTicks: 0,
    configurationIndex: termStart,
    transfer: undefined,
  };
  raft.becomeLeader(leader);
  // Log time 0 means "no later than before": the state machine takes the maximum.
  log.append({ index: termStart, term: raft.term, kind: "noop", logTime: 0, head: NOTHING, batches: [] });
}

function others(raft: Raft): readonly NodeId[] {
  return votersOf(raft.configuration).filter((id) => id !== raft.id);
}
