/** What the Raft core is started with, from what the disk holds. One voter today: this node. */
import type { Entropy } from "../../src/ports/entropy.ts";
import { configurationOf } from "../raft/configuration.ts";
import { RAFT_LIMITS } from "../raft/limits.ts";
import type { RaftOptions } from "../raft/raft.ts";
import type { NodeParts } from "./node-parts.ts";

const SEED_BYTES = 4;

export function raftOptions({ nodeName, hardState, log, machine, entropy, limits }: NodeParts): RaftOptions {
  const last = { index: log.lastIndex, term: log.lastTerm };
  return {
    id: nodeName,
    configuration: configurationOf([nodeName]),
    hardState: { term: hardState.state.term, vote: hardState.state.vote },
    firstIndex: log.firstIndex,
    last,
    // Nobody is sent older entries.
    terms: last.index === 0 ? [] : [{ firstIndex: last.index, term: last.term }],
    applied: machine.position,
    configurations: [],
    // The log of a sole voter settled it when it was opened.
    ambiguousEnd: undefined,
    // Time is not counted for one voter: it campaigns once, at its start.
    electionTicks: 2,
    heartbeatTicks: 1,
    seed: drawSeed(entropy),
    limits: { ...RAFT_LIMITS, uncommittedBytesMax: limits.groupBytesMax * 2 },
  };
}

function drawSeed(entropy: Entropy): number {
  return entropy.bytes(SEED_BYTES).reduce((seed, byte) => seed * 0x100 + byte, 0);
}
