/** How a replica is set up. */
import type { Stage } from "../operators/engine/graph.ts";
import type { TaskWatch } from "../operators/engine/task-watch.ts";

export type ReplicaConfig = {
  readonly stage: Stage;
  readonly partition: number;
  /** Its own, of all replicas that ever were. */
  readonly id: string;
  /** Between the beginnings of two commits, while it commits. */
  readonly commitEveryMs: number;
  /** Without a commit for so long, it makes the one that it waits for, until it knows how soon they come. */
  readonly takeoverMs: number;
  /** Between two commits of a cursor without outputs. */
  readonly cursorEveryMs: number;
  /** What becomes of an input that the task cannot get past. */
  readonly poison: "dead-letter" | "stop";
  readonly watch?: TaskWatch;
};
