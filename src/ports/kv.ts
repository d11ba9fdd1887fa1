/**
 * An ordered key-value store for what can be rebuilt from the log. Two implementations:
 * `log-server/log/disk/lmdb-kv.ts` and `src/sim/kv.ts` (in memory); one contract suite holds both.
 * Keys are at most 1,000 bytes, compared as unsigned bytes.
 */

export type KvPut = { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array };
export type KvDelete = { readonly kind: "delete"; readonly key: Uint8Array };
export type KvWrite = KvPut | KvDelete;

export interface Kv {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Entries with `from <= key < to`, in key order; `reverse` walks from the end. The bytes are the caller's to keep. */
  range(
    from: Uint8Array,
    to: Uint8Array,
    options?: { readonly reverse?: boolean; readonly limit?: number },
  ): Iterable<readonly [Uint8Array, Uint8Array]>;
  /** One atomic transaction; durable when it resolves. */
  write(writes: readonly KvWrite[]): Promise<void>;
  /** Forgets everything, durably. */
  clear(): Promise<void>;
  close(): Promise<void>;
}
