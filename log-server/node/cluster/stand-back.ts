/** Why a node is not to lead while another can (R102): each reason comes and goes by itself, and ends with the node's life. */

/** `drained`: an operator said so. `clock`: its own is far from that of a majority. `disk`: its own is too full to take more. */
export type StandBackReason = "drained" | "clock" | "disk";

export class StandBack {
  readonly #onChange: (stands: boolean) => void;
  readonly #reasons = new Set<StandBackReason>();

  constructor(onChange: (stands: boolean) => void) {
    this.#onChange = onChange;
  }

  get reasons(): readonly StandBackReason[] {
    return [...this.#reasons].sort();
  }

  set(reason: StandBackReason, stands: boolean): void {
    if (stands) this.#reasons.add(reason);
    else this.#reasons.delete(reason);
    this.#onChange(this.#reasons.size > 0);
  }
}
