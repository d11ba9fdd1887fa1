/** Why a replica ended. */
import type { Poison } from "../operators/engine/task-input.ts";
import type { Offset } from "../record/offset.ts";
import type { AppName, TaskName } from "../wire/app-command.ts";
import type { StreamName } from "../wire/command.ts";
import type { Evidence } from "./evidence.ts";

export type ReplicaEnd =
  | { readonly kind: "stopped" }
  /** A newer version of the app runs, or it was reset. */
  | { readonly kind: "fenced" }
  /** The app was deleted. */
  | { readonly kind: "gone" }
  | { readonly kind: "poison"; readonly poison: Poison }
  /** Records that it had not read are no longer kept, and no snapshot has what came of them. */
  | { readonly kind: "input-trimmed"; readonly stream: string; readonly from: number; readonly to: number }
  /** What it makes of input that is committed is not what was committed. */
  | { readonly kind: "diverged"; readonly divergence: Divergence }
  /** Most of the others have something else. */
  | { readonly kind: "contradicted"; readonly evidence: Evidence }
  | { readonly kind: "failed"; readonly error: unknown };

/** Its rows may be what is wrong with it. */
export const DOUBTFUL: ReadonlySet<ReplicaEnd["kind"]> = new Set(["contradicted", "diverged", "failed"]);

export type Divergence = {
  readonly app: AppName;
  readonly task: TaskName;
  /** Up to which the input was taken in: the last offset of each that has any. */
  readonly inputs: readonly { readonly stream: StreamName; readonly offset: Offset }[];
  /** Outputs by then, and those that are committed: perhaps as many, but others. */
  readonly made: number;
  readonly committed: number;
};

/** Ends a replica from within. */
export class Ended extends Error {
  readonly end: ReplicaEnd;

  constructor(end: ReplicaEnd) {
    super(end.kind);
    this.end = end;
  }
}
