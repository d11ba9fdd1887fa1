/** What the Raft core is started with, from what the disk holds. */
import { assert } from "../../../src/lib/assert.ts";
import type { Entropy } from "../../../src/ports/entropy.ts";
import type { LogIndex, Term } from "../../../src/wire/entry.ts";
import type { HardStateRecord } from "../../log/hard-state.ts";
import type { AmbiguousTail } from "../../log/segments/segment-judge.ts";
import type { SegmentedLog } from "../../log/segmented-log.ts";
import { decodeConfiguration } from "../../raft/configuration-codec.ts";
import { type Configuration, configurationOf } from "../../raft/configuration.ts";
import { RAFT_LIMITS } from "../../raft/limits.ts";
import { type RaftOptions, unreadableEnd } from "../../raft/raft.ts";
import { reaches } from "../../raft/raft-log.ts";
import type { LogPoint, NodeId, TermRun } from "../../raft/types.ts";
import type { NodeParts } from "../node-parts.ts";

const SEED_BYTES = 4;

export function raftOptions(parts: NodeParts): RaftOptions {
  const { nodeName, log, machine, entropy, limits, cluster, configurations, hidden } = parts;
  const since = sinceOf(parts.since);
  const { term, vote } = parts.hardState.state;
  const hardState = { term, vote };
  return {
    id: nodeName,
    configuration: configurationAsApplied(
      machine.position < since ? NOTHING : machine.configuration,
      cluster?.voters ?? [nodeName],
    ),
    hardState,
    firstIndex: log.firstIndex,
    last: { index: log.lastIndex, term: log.lastTerm },
    terms: termsOf(log),
    applied: machine.position,
    configurations,
    hidden,
    since,
    committed: parts.since?.kind === "recovered" ? since : 0,
    ambiguousEnd: parts.hardState.state.doubt,
    electionTicks: limits.electionTicks,
    heartbeatTicks: limits.heartbeatTicks,
    seed: drawSeed(entropy),
    limits: { ...RAFT_LIMITS, uncommittedBytesMax: limits.groupBytesMax * 2 },
  };
}

/** The newest that the machine has applied (R91); before the first, that of the founding. */
function configurationAsApplied(head: Uint8Array, founders: readonly NodeId[]): Configuration {
  // Who joined later knows of nobody before it was told: it has no vote until the log says so.
  if (head.length === 0) return founders.length === 0 ? NO_MEMBERS : configurationOf(founders);
  const decoded = decodeConfiguration(head);
  assert(decoded.ok, "I10: a configuration that was applied is well-formed");
  return decoded.value;
}

function sinceOf(since: NodeParts["since"]): LogIndex {
  if (since === undefined) return 0;
  return since.kind === "recovering" ? Number.MAX_SAFE_INTEGER : since.position;
}

const NOTHING: Uint8Array = new Uint8Array(0);
const NO_MEMBERS: Configuration = { voters: [], outgoing: [], learners: [], demoted: [] };

/** As far back as the log can be sent, and the term before that; what damage hides, and all before it, is not known. */
export function termsOf(log: SegmentedLog): readonly TermRun[] {
  const { firstIndex, lastIndex, lastTerm, horizon, terms } = log;
  if (lastIndex === 0) return [];
  const hidden = terms.findLastIndex((run) => run.term === 0);
  const known: TermRun[] = terms.slice(hidden + 1).filter((run) => run.firstIndex <= lastIndex);
  if (known.at(-1)?.term !== lastTerm) return [{ firstIndex: lastIndex, term: lastTerm }];
  const [first] = known as [TermRun];
  if (horizon.index > 0 && horizon.index === firstIndex - 1 && first.firstIndex > horizon.index && hidden < 0)
    known.unshift({ firstIndex: horizon.index, term: horizon.term });
  return known;
}

/**
 * The last point that was perhaps acknowledged here and cannot be shown any more: of a tail that is damaged, or gone though
 * the image knew of it, or not settled since an earlier start. The log of a sole voter settled it when it was opened.
 */
export function doubtOf(log: SegmentedLog, { term, doubt }: HardStateRecord): LogPoint | undefined {
  const { ambiguous, lastIndex } = log;
  const found = [
    doubt,
    ambiguous && endOf(ambiguous, term),
    (log.imagePosition() ?? 0) > lastIndex && unreadableEnd({ term }),
  ];
  let furthest: LogPoint | undefined;
  for (const point of found)
    if (point !== undefined && point !== false && (furthest === undefined || !reaches(furthest, point)))
      furthest = point;
  return furthest === undefined || reaches({ index: lastIndex, term: log.lastTerm }, furthest) ? undefined : furthest;
}

function endOf({ toIndex, toTerm }: AmbiguousTail, term: Term): LogPoint {
  if (toIndex === undefined || toTerm === undefined) return unreadableEnd({ term });
  return { index: toIndex, term: Math.min(toTerm, term) };
}

function drawSeed(entropy: Entropy): number {
  return entropy.bytes(SEED_BYTES).reduce((seed, byte) => seed * 0x100 + byte, 0);
}
