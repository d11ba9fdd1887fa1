/**
 * What a node must never forget: its term and vote (I1), and whose they are. One file of two checksummed slots, in
 * different pages. A change is written and synced to the first slot, then to the second; only then may a message
 * depend on it. After a crash the highest intact slot wins, and the other is made equal to it before anyone acts.
 * With both damaged the node is as good as wiped: it must not vote under its old name (P33).
 *
 * A slot is 512 bytes, so that a sector holds it whole; little-endian:
 *
 *     0  u64     xxh64 of bytes 8..512, seed: the slot's number
 *     8  u32     mark, "TMHS"
 *    12  u16     version, 1
 *    14  u64     generation: counts the changes, from 1
 *    22  u64     term
 *    30  u32     log
 *    34  u8      1 if there is a vote, then string vote, string cluster, string node
 *        u8      1 if there is a doubt, then u64 index, u64 term
 *        ...     zeros
 */
import { assert } from "../../src/lib/assert.ts";
import { utf8 } from "../../src/lib/bytes.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { type Disk, DiskError, type DiskFile } from "../../src/ports/disk.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { HARD_STATE_LIMITS } from "./disk/storage-limits.ts";

export const SLOT_LENGTH = 512;
export const SLOT_SPACING = 4_096;
export const HARD_STATE_SLOTS = [0, 1] as const;
const MARK = 0x53484d54;
const VERSION = 1;

/** What elections change. */
export type TermAndVote = { readonly term: number; readonly vote: string | undefined };

/** The last point that was perhaps acknowledged, where damage took the end of the log: until it is settled, over restarts (I13). */
export type Doubt = { readonly index: number; readonly term: number };

export type HardStateRecord = TermAndVote & {
  readonly logId: number;
  readonly clusterId: string;
  readonly nodeId: string;
  readonly doubt?: Doubt;
};

export type HardStateFault =
  | { readonly kind: "missing" }
  /** Neither slot is intact: term and vote are not known. */
  | { readonly kind: "wiped"; readonly message: string }
  | { readonly kind: "unsupported-version"; readonly found: number; readonly supported: number };

export type HardStateSlot =
  | { readonly kind: "intact"; readonly generation: number; readonly state: HardStateRecord }
  | { readonly kind: "unsupported"; readonly version: number }
  | { readonly kind: "damaged" };

export class HardStateFile {
  readonly #file: DiskFile;
  #state: HardStateRecord;
  #generation: number;
  #writing = false;
  #poisoned = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(file: DiskFile, generation: number, state: HardStateRecord) {
    this.#file = file;
    this.#generation = generation;
    this.#state = state;
  }

  /** Makes the file, durably. It appears under its name only with both slots synced: half a file is no file. */
  static async create(disk: Disk, path: string, state: HardStateRecord): Promise<HardStateFile> {
    const temporary = `${path}.new`;
    await disk.remove(temporary).catch(ignoreMissing);
    const file = await disk.open(temporary, "create");
    const created = new HardStateFile(file, 0, state);
    await created.#writeSlots(1, state);
    await disk.rename(temporary, path);
    await disk.syncDirectory(path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
    return created;
  }

  static async open(disk: Disk, path: string): Promise<Result<HardStateFile, HardStateFault>> {
    let file: DiskFile;
    try {
      file = await disk.open(path, "read-write");
    } catch (error) {
      if (error instanceof DiskError && error.code === "not-found") return err({ kind: "missing" });
      throw error;
    }
    const slots = [await readSlot(file, 0), await readSlot(file, 1)] as const;
    const [first, second] = slots;
    for (const slot of slots) {
      if (slot.kind !== "unsupported") continue;
      await file.close();
      return err({ kind: "unsupported-version", found: slot.version, supported: VERSION });
    }
    const newest = newestSlot(first, second);
    if (newest.kind !== "intact") {
      await file.close();
      return err({ kind: "wiped", message: `${path}: both slots are damaged, so the term and the vote are not known` });
    }
    const opened = new HardStateFile(file, newest.generation, newest.state);
    // A reader must not act on a state that one more fault could take back.
    const equal = first.kind === "intact" && second.kind === "intact" && first.generation === second.generation;
    if (!equal) await opened.#writeSlots(newest.generation, newest.state);
    return ok(opened);
  }

  get state(): HardStateRecord {
    return this.#state;
  }

  /** Durable, in both slots, when it resolves. After a failure nothing more is written: what the disk holds is not known. */
  write(change: TermAndVote): Promise<void> {
    return this.#change((state) => {
      const { term, vote } = state;
      assert(
        change.term > term || (change.term === term && (vote === undefined || vote === change.vote)),
        "I1: one vote per term, and terms only grow",
      );
      return { ...state, term: change.term, vote: change.vote };
    });
  }

  /** Likewise. Undefined: there is none any more. */
  writeDoubt(doubt: Doubt | undefined): Promise<void> {
    return this.#change(({ doubt: _before, ...state }) => (doubt === undefined ? state : { ...state, doubt }));
  }

  /** Likewise: what was voted in the cluster before is of no more account, but the term goes on. */
  writeCluster(clusterId: string): Promise<void> {
    return this.#change((state) => ({ ...state, clusterId }));
  }

  /** One after the other. */
  #change(change: (state: HardStateRecord) => HardStateRecord): Promise<void> {
    const done = this.#last.then(async () => {
      const state = change(this.#state);
      await this.#writeSlots(this.#generation + 1, state);
      this.#state = state;
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #writeSlots(generation: number, state: HardStateRecord): Promise<void> {
    assert(!this.#writing, "one change of the hard state at a time");
    if (this.#poisoned)
      throw new DiskError("io", this.#file.path, "an earlier write failed; the hard state is not written again");
    this.#writing = true;
    try {
      for (const slot of HARD_STATE_SLOTS) {
        await this.#file.write(slot * SLOT_SPACING, [encodeSlot(slot, generation, state)]);
        await this.#file.sync();
      }
      this.#generation = generation;
    } catch (error) {
      this.#poisoned = true;
      throw error;
    } finally {
      this.#writing = false;
    }
  }
}

function encodeSlot(slot: number, generation: number, state: HardStateRecord): Uint8Array {
  for (const name of [state.vote ?? "", state.clusterId, state.nodeId]) {
    assert(utf8(name).length <= HARD_STATE_LIMITS.nameBytesMax, "a name of at most 128 bytes");
  }
  const writer = new ByteWriter(SLOT_LENGTH);
  writer.u64(0n).u32(MARK).u16(VERSION).int(generation).int(state.term).u32(state.logId);
  writer
    .u8(state.vote === undefined ? 0 : 1)
    .string(state.vote ?? "")
    .string(state.clusterId)
    .string(state.nodeId);
  writer.u8(state.doubt === undefined ? 0 : 1);
  if (state.doubt !== undefined) writer.int(state.doubt.index).int(state.doubt.term);
  writer.bytes(new Uint8Array(SLOT_LENGTH - writer.length));
  writer.patchU64(0, xxh64(writer.view().subarray(8), BigInt(slot)));
  return writer.finish();
}

/** The one that counts; not intact if neither is. */
export function newestSlot(first: HardStateSlot, second: HardStateSlot): HardStateSlot {
  const isFirst = first.kind === "intact" && (second.kind !== "intact" || first.generation >= second.generation);
  return isFirst ? first : second;
}

/** A slot as it stands; nothing is mended. */
export async function readSlot(file: DiskFile, slot: number): Promise<HardStateSlot> {
  const bytes = new Uint8Array(SLOT_LENGTH);
  try {
    if ((await file.read(slot * SLOT_SPACING, bytes)) < SLOT_LENGTH) return { kind: "damaged" };
  } catch (error) {
    // A sector that cannot be read is a damaged one; the other slot decides.
    if (error instanceof DiskError && error.code === "io") return { kind: "damaged" };
    throw error;
  }
  const reader = new ByteReader(bytes);
  if (reader.u64() !== xxh64(bytes.subarray(8), BigInt(slot)) || reader.u32() !== MARK) return { kind: "damaged" };
  const version = reader.u16();
  if (version !== VERSION) return { kind: "unsupported", version };
  const generation = reader.int();
  const term = reader.int();
  const logId = reader.u32();
  const voted = reader.u8() === 1;
  const vote = reader.string(HARD_STATE_LIMITS.nameBytesMax);
  const clusterId = reader.string(HARD_STATE_LIMITS.nameBytesMax);
  const nodeId = reader.string(HARD_STATE_LIMITS.nameBytesMax);
  const doubt = reader.u8() === 1 ? { index: reader.int(), term: reader.int() } : undefined;
  if (reader.failed) return { kind: "damaged" };
  const state = { term, vote: voted ? vote : undefined, logId, clusterId, nodeId, ...(doubt && { doubt }) };
  return { kind: "intact", generation, state };
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof DiskError && error.code === "not-found")) throw error;
}
