/**
 * Knows which rows have changed: since the last drain, for whoever keeps them on disk, and since the last digest. Both
 * are worked out when asked for, so that applying a command only sets a mark, however often one entity changes.
 *
 * The digest is the sum mod 2^64 of the rows' hashes: whatever order they come in, equal rows give an equal digest.
 */
import { asDigest, type RowChange, rowHash } from "../../src/record/row.ts";
import type { RowOwner } from "./rows.ts";

const UNDIGESTED = 1;
const UNDRAINED = 2;
const PRESENT = 4;
/** Was drained or restored: whoever keeps the rows has it, so its removal must be told. */
const KNOWN = 8;

export class RowLedger {
  #undigested: RowOwner[] = [];
  #undrained: RowOwner[] = [];
  #sum = 0n;

  /** A new entity, or one that comes back because its removal is undone. */
  put(owner: RowOwner): void {
    owner.marks |= PRESENT;
    this.touch(owner);
  }

  remove(owner: RowOwner): void {
    owner.marks &= ~PRESENT;
    this.touch(owner);
  }

  /** After every change of what the row says. */
  touch(owner: RowOwner): void {
    if ((owner.marks & UNDIGESTED) === 0) this.#undigested.push(owner);
    if ((owner.marks & UNDRAINED) === 0) this.#undrained.push(owner);
    owner.marks |= UNDIGESTED | UNDRAINED;
  }

  /** An entity made from a row that is kept already. */
  adopt(owner: RowOwner, key: Uint8Array, value: Uint8Array): void {
    owner.marks = PRESENT | KNOWN;
    owner.hash = rowHash(key, value);
    this.#sum += owner.hash;
  }

  /** Rows that the next drain brings, at most. */
  get changed(): number {
    return this.#undrained.length;
  }

  digest(): bigint {
    for (const owner of this.#undigested) {
      if ((owner.marks & UNDIGESTED) === 0) continue;
      const present = (owner.marks & PRESENT) !== 0;
      this.#digested(owner, present ? rowHash(owner.rowKey(), owner.rowValue()) : 0n);
    }
    this.#undigested = [];
    this.#sum = asDigest(this.#sum);
    return this.#sum;
  }

  /** Deletions come first: a row deleted and made anew since the last drain is in both. */
  drain(): RowChange[] {
    const deletions: RowChange[] = [];
    const puts: RowChange[] = [];
    for (const owner of this.#undrained) {
      const key = owner.rowKey();
      const present = (owner.marks & PRESENT) !== 0;
      if (present) {
        const value = owner.rowValue();
        puts.push({ key, value });
        if ((owner.marks & UNDIGESTED) !== 0) this.#digested(owner, rowHash(key, value));
      } else {
        if ((owner.marks & KNOWN) !== 0) deletions.push({ key, value: undefined });
        if ((owner.marks & UNDIGESTED) !== 0) this.#digested(owner, 0n);
      }
      owner.marks = present ? PRESENT | KNOWN : 0;
    }
    this.#undrained = [];
    // Both marks are set together, and a drain clears both: nothing undigested is left.
    this.#undigested = [];
    return deletions.concat(puts);
  }

  #digested(owner: RowOwner, hash: bigint): void {
    this.#sum += hash - owner.hash;
    owner.hash = hash;
    owner.marks &= ~UNDIGESTED;
  }
}
