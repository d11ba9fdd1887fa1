/**
 * Who a transaction's appends are from (I8). A transaction takes a producer's id for as long as it is under way and
 * begins a new epoch of it, so that no two under way share one, and a server that keeps a producer's state in each stream
 * sees as many ids as there were transactions at once, not as many as there were transactions.
 */
import type { Entropy } from "../../src/ports/entropy.ts";
import { randomId } from "../environment.ts";
import { CLIENT_LIMITS } from "../limits.ts";

export type TransactionTag = { readonly id: string; readonly epoch: number };

export class TransactionTags {
  readonly #entropy: Entropy;
  readonly #idle: TransactionTag[] = [];

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  take(): TransactionTag {
    return this.#idle.pop() ?? { id: randomId(this.#entropy), epoch: 0 };
  }

  /** For others, once the transaction can no longer be under way. */
  giveBack({ id, epoch }: TransactionTag): void {
    if (this.#idle.length < CLIENT_LIMITS.idleTransactionTagsMax) this.#idle.push({ id, epoch: epoch + 1 });
  }
}
