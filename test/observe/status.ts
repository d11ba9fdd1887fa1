/** A node's status as tests want it. */
import type { NodeStatus } from "../../log-server/node/node-status.ts";

export const SERVING: NodeStatus = {
  phase: "serving",
  progress: { phase: "serving", done: 7, total: 7 },
  hasLeader: true,
  role: "leader",
  leader: "n1",
  followers: [],
  refusedMessages: 0,
  term: 3,
  commitIndex: 7,
  appliedIndex: 7,
  lastIndex: 7,
  damage: [],
  repair: undefined,
  digests: undefined,
  scrub: { passes: 0, bytes: 0, underWay: false },
  freeBytes: 1_000_000,
  diskFull: false,
  waitingProposals: 2,
  forwards: { answered: 11, refused: 1, unknown: 2, repeated: 3, underWay: 4 },
  waitingReaders: 4,
  streams: 5,
  groups: () => ({ count: 0, lag: 0, inFlight: 0, resting: 0, dead: 0 }),
  compaction: { segmentsRewritten: 0, bytesGivenBack: 0, dirtyBytes: 0 },
  snapshotPosition: 6,
};
