/** Restored rows on disk, for state that is larger than memory: written as they come, later ones over earlier ones. */
import type { RowTotals } from "../../operators/state/totals.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Kv, KvWrite } from "../../ports/kv.ts";
import type { RowChange } from "../../record/row.ts";
import { KvStore } from "../state/kv-store.ts";
import { SNAPSHOT_LIMITS } from "./limits.ts";
import type { RestoreTarget } from "./restore.ts";

export class KvTarget implements RestoreTarget<KvStore> {
  readonly #kv: Kv;
  readonly #label: string;
  readonly #clock: Clock;
  #writes: KvWrite[] = [];
  #bytes = 0;

  constructor(kv: Kv, label: string, clock: Clock) {
    this.#kv = kv;
    this.#label = label;
    this.#clock = clock;
  }

  async begin(): Promise<void> {
    this.#writes = [];
    this.#bytes = 0;
    await this.#kv.clear();
  }

  async add(_slice: number, rows: readonly RowChange[]): Promise<void> {
    for (const { key, value } of rows) {
      this.#writes.push(value === undefined ? { kind: "delete", key } : { kind: "put", key, value });
      this.#bytes += key.length + (value?.length ?? 0);
    }
    if (this.#bytes >= SNAPSHOT_LIMITS.restoredWriteBytes) await this.#write();
  }

  /** Opening it reads all of it again, and keeps it only if it is what it must be. */
  async finish(expected: RowTotals): Promise<{ readonly store: KvStore; readonly totals: RowTotals }> {
    await this.#write();
    await KvStore.complete(this.#kv, this.#label, expected);
    return KvStore.open(this.#kv, this.#label, this.#clock);
  }

  async #write(): Promise<void> {
    const writes = this.#writes;
    this.#writes = [];
    this.#bytes = 0;
    await this.#kv.write(writes);
  }
}
