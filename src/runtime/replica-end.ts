/** Why a replica ended. */
import type { Poison } from "../operators/engine/task-input.ts";
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
  /** Most of the others have something else. */
  | { readonly kind: "contradicted"; readonly evidence: Evidence }
  | { readonly kind: "failed"; readonly error: unknown };

/** Ends a replica from within. */
export class Ended extends Error {
  readonly end: ReplicaEnd;

  constructor(end: ReplicaEnd) {
    super(end.kind);
    this.end = end;
  }
}
