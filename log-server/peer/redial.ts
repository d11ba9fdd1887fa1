/** When to dial a peer again: soon at first, then ever more seldom, never all at the same moment. */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { PeerLimits } from "./limits.ts";

const U32_RANGE = 0x1_0000_0000;

export class Redial {
  readonly #limits: PeerLimits;
  readonly #entropy: Entropy;
  #failures = 0;

  constructor(limits: PeerLimits, entropy: Entropy) {
    this.#limits = limits;
    this.#entropy = entropy;
  }

  /** Milliseconds until the next attempt, after one has failed. */
  nextMs(): number {
    const { redialMsMin, redialMsMax } = this.#limits;
    const wholeMs = Math.min(redialMsMax, redialMsMin * 2 ** this.#failures);
    if (wholeMs < redialMsMax) this.#failures += 1;
    const draw = new ByteReader(this.#entropy.bytes(4)).u32() / U32_RANGE;
    return (wholeMs * (1 + draw)) / 2;
  }

  succeeded(): void {
    this.#failures = 0;
  }
}
