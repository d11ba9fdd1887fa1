/** What waits at a node, as it says of itself, and how much of it may (I15). What no node tells of is the tests' of each queue. */
import type { NodeLimits } from "../../../log-server/node/limits.ts";
import type { NodeStatus } from "../../../log-server/node/node-status.ts";

export type Bounded = { readonly what: string; readonly waiting: number; readonly most: number };

export function boundedIn(status: NodeStatus, limits: NodeLimits): readonly Bounded[] {
  const { waitingProposals, forwards, waitingBarriers, waitingReaders } = status;
  const { proposalsMax, barriersMax, waitersMax } = limits;
  return [
    { what: "proposals", waiting: waitingProposals, most: proposalsMax },
    { what: "forwarded commands", waiting: forwards.underWay, most: proposalsMax },
    { what: "linearizable reads", waiting: waitingBarriers, most: barriersMax },
    { what: "readers", waiting: waitingReaders, most: waitersMax },
  ];
}
