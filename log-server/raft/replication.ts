/**
 * How a leader feeds its followers: from memory while they keep up, from disk when they lag, and by a snapshot where the
 * log no longer reaches. Sending is one pass over the followers (`replicate`), made when work is asked for, so that what
 * was proposed meanwhile goes in one message.
 */
import { assert } from "../../src/lib/assert.ts";
import type { Entry, LogIndex } from "../../src/wire/entry.ts";
import { maybeCommit } from "./commit.ts";
import type { AppendAccepted, AppendRefused, HeartbeatAnswer } from "./message.ts";
import type { Flow, Progress } from "./progress.ts";
import type { Raft } from "./raft.ts";
import { entryBytes } from "./raft-log.ts";
import { beginReads, confirmReads } from "./reads.ts";
import type { Leader } from "./role.ts";
import type { Fetched, SnapshotStatus, Unreachable } from "./types.ts";

type Feeding = Exclude<Flow, { kind: "snapshot" }>;
/** By their first: what goes to several followers in one pass is the same array, so that it can be encoded once. */
type Slices = Map<LogIndex, readonly Entry[]>;

const NOTHING: readonly Entry[] = [];

/** Sends what may be sent now. `announce`: also to whom there is nothing to tell but what is committed. */
export function replicate(raft: Raft, leader: Leader, announce: boolean): void {
  if (beginReads(raft, leader)) sendHeartbeats(raft, leader);
  const slices: Slices = new Map();
  for (const progress of leader.followers.values()) feed(raft, progress, announce, slices);
}

/** Something is committed, and not everybody was told who has nothing else to be sent. */
export function unannounced(raft: Raft, leader: Leader): boolean {
  for (const { flow } of leader.followers.values())
    if (flow.kind === "replicate" && flow.told < raft.log.committed && flow.next > raft.log.lastIndex) return true;
  return false;
}

export function sendHeartbeats(raft: Raft, leader: Leader): void {
  leader.heartbeatTicks = 0;
  for (const { id, match } of leader.followers.values()) {
    const committed = Math.min(match, raft.log.committed);
    raft.send({ kind: "heartbeat", to: id, term: raft.term, committed, round: leader.reads.round });
  }
}

export function onAppendAccepted(raft: Raft, leader: Leader, { from, index }: AppendAccepted): void {
  const progress = heard(leader, from);
  // The rest of a leader's log is its own to know: an index behind its end can only be a damaged message.
  if (progress === undefined || index > raft.log.lastIndex) return;
  const news = progress.accepted(index);
  switch (progress.flow.kind) {
    case "probe":
      if (news || index === progress.match) progress.replicate(raft.limits);
      break;
    case "replicate":
      break;
    case "snapshot":
      if (reachable(raft, progress.match + 1)) progress.replicate(raft.limits);
  }
  if (news) maybeCommit(raft, leader);
}

export function onAppendRefused(raft: Raft, leader: Leader, message: AppendRefused): void {
  const progress = heard(leader, message.from);
  if (progress === undefined) return;
  const { index, hint } = message;
  // Acknowledged once and damaged since: it is sent again. What was committed by it stays committed, for that node
  // votes for nobody who lacks it (R60).
  if (message.lost && hint.index < progress.match) {
    progress.match = hint.index;
    progress.probe(hint.index + 1);
    return;
  }
  const { flow } = progress;
  switch (flow.kind) {
    case "replicate":
      // An answer from before it accepted what is known to be there.
      if (index > progress.match) progress.probe(progress.match + 1);
      return;
    case "probe":
      if (flow.next - 1 !== index) return;
      // It has acknowledged that: an answer from before, or of one that has forgotten. That is tried again with a heartbeat, not at once.
      if (index <= progress.match) return;
      // Where the follower's newest possible point is in this log: a whole term is passed over at once (P48).
      progress.probe(Math.min(index, raft.log.atMost(hint.index, hint.term).index + 1));
      return;
    case "snapshot":
      return;
  }
}

export function onHeartbeatAnswer(raft: Raft, leader: Leader, { from, round, standsBack }: HeartbeatAnswer): void {
  const progress = heard(leader, from);
  if (progress === undefined) return;
  progress.round = Math.max(progress.round, round);
  progress.standsBack = standsBack;
  confirmReads(raft, leader);
  const { flow } = progress;
  if (flow.kind === "probe") flow.paused = false;
  // What was sent may be lost: an empty message behind it shows whether it is.
  if (flow.kind !== "replicate" || flow.fetch !== undefined || progress.match >= raft.log.lastIndex) return;
  if (reachable(raft, flow.next)) sendEntries(raft, progress, flow, NOTHING);
  // The log was trimmed behind a full window whose answers do not come.
  else progress.probe(progress.match + 1);
}

/** Entries that a follower lacks were read from disk. They go out only if it still waits for just these (P7). */
export function onFetched(raft: Raft, leader: Leader, { id, node, outcome }: Fetched): void {
  const progress = leader.followers.get(node);
  if (progress === undefined) return;
  const { flow } = progress;
  if (flow.kind === "snapshot" || flow.fetch !== id) return;
  flow.fetch = undefined;
  switch (outcome.kind) {
    case "entries": {
      const [first] = outcome.entries;
      const last = outcome.entries.at(-1);
      // The log may have been trimmed meanwhile.
      if (!reachable(raft, flow.next)) return;
      if (first?.index === flow.next && last !== undefined && raft.log.matches(last))
        sendEntries(raft, progress, flow, outcome.entries);
      return;
    }
    case "trimmed":
      askSnapshot(raft, progress);
      return;
    case "unavailable":
      // Tried again when it is next heard.
      progress.probe(progress.match + 1);
      pause(progress);
      return;
  }
}

export function onUnreachable(_raft: Raft, leader: Leader, { node }: Unreachable): void {
  const progress = leader.followers.get(node);
  if (progress?.flow.kind === "replicate") progress.probe(progress.match + 1);
}

export function onSnapshotStatus(_raft: Raft, leader: Leader, { id, node, outcome }: SnapshotStatus): void {
  const progress = leader.followers.get(node);
  if (progress?.flow.kind !== "snapshot" || progress.flow.id !== id) return;
  // Sent: entries go on where it ends; the follower may still be installing it. Failed: from where it was, which asks
  // for another one when it is next heard.
  progress.probe(outcome.kind === "sent" ? outcome.index + 1 : progress.match + 1);
  pause(progress);
}

/** A sign of life. */
function heard(leader: Leader, node: string): Progress | undefined {
  const progress = leader.followers.get(node);
  if (progress !== undefined) progress.silentTicks = 0;
  return progress;
}

function pause(progress: Progress): void {
  if (progress.flow.kind === "probe") progress.flow.paused = true;
}

/** The log has the entry before this one, or knows its term, and all from it on. */
function reachable(raft: Raft, next: LogIndex): boolean {
  return next >= raft.log.firstIndex && raft.log.term(next - 1) !== undefined;
}

function askSnapshot(raft: Raft, progress: Progress): void {
  const id = raft.nextId();
  progress.needSnapshot(id);
  raft.snapshots.push({ id, node: progress.id });
}

function feed(raft: Raft, progress: Progress, announce: boolean, slices: Slices): void {
  for (;;) {
    const { flow } = progress;
    if (flow.kind === "snapshot" || flow.fetch !== undefined) return;
    if (flow.kind === "probe" ? flow.paused : flow.inflights.full) return;
    if (!reachable(raft, flow.next)) return askSnapshot(raft, progress);
    const idle = flow.next > raft.log.lastIndex;
    if (idle && flow.kind === "replicate" && (!announce || flow.told >= raft.log.committed)) return;
    if (!idle && flow.next <= raft.log.windowStart) return askFetch(raft, progress, flow);
    sendEntries(raft, progress, flow, idle ? NOTHING : sliceFrom(raft, slices, flow.next));
  }
}

function sliceFrom(raft: Raft, slices: Slices, from: LogIndex): readonly Entry[] {
  const known = slices.get(from);
  if (known !== undefined) return known;
  const slice = raft.log.sliceBytes(from, raft.limits.messageBytesMax);
  slices.set(from, slice);
  return slice;
}

function askFetch(raft: Raft, progress: Progress, flow: Feeding): void {
  const id = raft.nextId();
  flow.fetch = id;
  const { windowStart } = raft.log;
  const bytesMax = raft.limits.messageBytesMax;
  raft.fetches.push({ id, node: progress.id, from: flow.next, to: windowStart, bytesMax });
}

function sendEntries(raft: Raft, progress: Progress, flow: Feeding, entries: readonly Entry[]): void {
  const { committed } = raft.log;
  const index = flow.next - 1;
  const term = raft.log.term(index);
  assert(term !== undefined, "I2: entries are sent behind a point that is known");
  raft.send({ kind: "append", to: progress.id, term: raft.term, prev: { index, term }, committed, entries });
  switch (flow.kind) {
    case "probe":
      flow.paused = true;
      return;
    case "replicate": {
      flow.told = committed;
      if (entries.length === 0) return;
      flow.next += entries.length;
      let bytes = 0;
      for (const entry of entries) bytes += entryBytes(entry);
      flow.inflights.add(flow.next - 1, bytes);
    }
  }
}
