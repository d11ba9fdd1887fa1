/** What waits at a node is within its bounds, as it says of itself (I15). What no node tells of is the tests' of each queue. */
import type { NodeLimits } from "../../../log-server/node/limits.ts";
import type { NodeStatus } from "../../../log-server/node/node-status.ts";

type Bound = {
  readonly what: string;
  readonly waiting: (status: NodeStatus) => number;
  readonly most: (limits: NodeLimits) => number;
};

const BOUNDS: readonly Bound[] = [
  { what: "proposals", waiting: (status) => status.waitingProposals, most: (limits) => limits.proposalsMax },
  { what: "forwarded commands", waiting: (status) => status.forwards.underWay, most: (limits) => limits.proposalsMax },
  { what: "linearizable reads", waiting: (status) => status.waitingBarriers, most: (limits) => limits.barriersMax },
  { what: "readers", waiting: (status) => status.waitingReaders, most: (limits) => limits.waitersMax },
];

/** Undefined: nothing waits that should have been refused. */
export function overBounds(status: NodeStatus, limits: NodeLimits): string | undefined {
  for (const { what, waiting, most } of BOUNDS) {
    const count = waiting(status);
    if (count > most(limits)) return `${count} ${what} wait, where ${most(limits)} may`;
  }
  return undefined;
}
