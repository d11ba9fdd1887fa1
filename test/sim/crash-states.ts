/**
 * What crashes have left: most ways in which one can end come to a state that another has left as well, and of which there
 * is nothing new to see.
 */
import { serialize } from "node:v8";
import { xxh64 } from "../../src/record/checksum.ts";
import type { SimDisk } from "../../src/sim/disk.ts";
import type { SimKv } from "../../src/sim/kv.ts";

const FIRST_KEY = new Uint8Array();
const LAST_KEY = new Uint8Array(1_000).fill(0xff);

export class CrashStates {
  readonly #seen = new Set<bigint>();

  /** With what the work was told until then: what must hold depends on both. */
  isNew(progress: unknown, disk: SimDisk, kv?: SimKv): boolean {
    const rows = kv === undefined ? [] : [...kv.range(FIRST_KEY, LAST_KEY)];
    const files = Array.from(disk.tree(), ([path, bytes]) => [path, bytes?.length, bytes && xxh64(bytes)]);
    const hash = xxh64(serialize([progress, files, rows]));
    if (this.#seen.has(hash)) return false;
    this.#seen.add(hash);
    return true;
  }
}
