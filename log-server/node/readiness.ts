/** Whether a node takes commands and answers reads, and if not, what whoever asks is told. The node itself says what happens. */
import type { Damage } from "../log/repair/damage.ts";
import { NodeError } from "./node-error.ts";
import type { NodePhase } from "./node-status.ts";

export class Readiness {
  phase: NodePhase = "recovering";
  /** Set when an entry that must be applied cannot be read: nothing after it can be known here. */
  blocked: Damage | undefined;
  /** Set once, and for good. */
  failure: NodeError | undefined;
  readonly #isRemoved: () => boolean;
  readonly #hasOthers: () => boolean;

  /** `isRemoved`: it was a member of its cluster and is none any more. `hasOthers`: who may give back what damage took. */
  constructor(isRemoved: () => boolean, hasOthers: () => boolean) {
    this.#isRemoved = isRemoved;
    this.#hasOthers = hasOthers;
  }

  /** As others are told. */
  get told(): NodePhase {
    return this.phase === "recovering" && this.#isRemoved() ? "removed" : this.phase;
  }

  /** Why no command is taken now; undefined: it may be. */
  get noCommands(): NodeError | undefined {
    return this.#refusal(this.phase === "serving");
  }

  /** Why it cannot be known now what was committed; undefined: it can, also for what is under way while the node stops. */
  get noReads(): NodeError | undefined {
    return this.#refusal(this.phase === "serving" || this.phase === "stopping");
  }

  /** What is said of all that is behind this. */
  blockedBy(damage: Damage): NodeError {
    return this.#hidden(`the log cannot be applied past damage: ${damage.message}`);
  }

  /** The same, at the end of what is known of a stream. */
  tailUnknown(): NodeError {
    return this.#hidden("what follows is damaged on this node's disk");
  }

  #hidden(message: string): NodeError {
    return new NodeError(this.#hasOthers() ? "repairing" : "damaged", message);
  }

  #refusal(serves: boolean): NodeError | undefined {
    if (this.failure !== undefined) return this.failure;
    if (serves) return this.blocked && this.blockedBy(this.blocked);
    return this.told === "removed"
      ? new NodeError("node-removed", "this node was removed from the cluster: ask another")
      : new NodeError("unavailable", `the node is ${this.told}`);
  }
}
