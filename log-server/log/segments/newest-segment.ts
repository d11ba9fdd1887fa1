/**
 * Which segment is the log's newest. Of any other that is lost its neighbours tell; of this one nothing would, and the log would
 * only seem to be shorter (I13). So its number stands in a file of its own, `newest-segment`: durable before the first entry that
 * is written to the segment, and behind the segment's own header, so that a crash never leaves the number without the header.
 *
 * Two slots of 512 bytes, in different pages, written together: the highest intact one counts. With neither intact nothing is known,
 * and what is found in `segments/` is believed. Little-endian:
 *
 *     0  u64  xxh64 of bytes 8..512, seed: the slot's number
 *     8  u32  mark, "TMNS" · u16 version, 1
 *    14  u64  generation: counts the changes, from 1
 *    22  u32  log
 *    26  u64  sequence of the segment; 0: the log has none
 *    34       zeros
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { type Disk, DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import { createAnew } from "../disk/create-anew.ts";
import type { LogLayout } from "../log-layout.ts";
import { isMissing } from "../repair/unreadable.ts";

export const NEWEST_SLOT_LENGTH = 512;
export const NEWEST_SLOT_SPACING = 4_096;
export const NEWEST_SLOTS = [0, 1] as const;
const MARK = 0x534e4d54;
const VERSION = 1;
const HASH_LENGTH = 8;

export type NewestSlot = { readonly generation: number; readonly logId: number; readonly sequence: number };

export class NewestSegment {
  readonly #file: DiskFile;
  readonly #logId: number;
  #generation: number;
  #sequence: number;
  /** Both slots say so. */
  #whole: boolean;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(file: DiskFile, logId: number, newest: NewestSlot | undefined, whole: boolean) {
    this.#file = file;
    this.#logId = logId;
    this.#whole = whole;
    this.#generation = newest?.generation ?? 0;
    this.#sequence = newest?.sequence ?? 0;
  }

  /** Made if it is not there. Where a slot is damaged both are written with what is set next. */
  static async open(disk: Disk, layout: LogLayout, logId: number): Promise<NewestSegment> {
    const file = await openFile(disk, layout, logId);
    const slots = (await readNewest(file)).filter((slot) => slot.logId === logId);
    const [newest] = slots;
    const whole = slots.length === NEWEST_SLOTS.length && slots.every((slot) => slot.generation === newest?.generation);
    return new NewestSegment(file, logId, newest, whole);
  }

  /** As it was when the log was last written to; 0: there was none, or it is not known. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Durable when it resolves. */
  set(sequence: number): Promise<void> {
    return this.#inTurn(() => this.#write(sequence));
  }

  /** `sequence` goes, and what is before it is the newest then, unless another one has come meanwhile. Durable when it resolves. */
  leave(sequence: number, before: number): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#sequence === sequence) await this.#write(before);
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#file.close();
  }

  async #write(sequence: number): Promise<void> {
    if (this.#sequence === sequence && this.#whole) return;
    const next = { generation: this.#generation + 1, logId: this.#logId, sequence };
    await writeSlots(this.#file, next);
    this.#generation = next.generation;
    this.#sequence = sequence;
    this.#whole = true;
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** Another log takes the place of this one. Durable once the log's folder is synced. */
export async function forgetNewest(disk: Disk, layout: LogLayout): Promise<void> {
  try {
    await disk.remove(layout.newest);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** It appears under its name with both slots synced. */
async function openFile(disk: Disk, layout: LogLayout, logId: number): Promise<DiskFile> {
  try {
    return await disk.open(layout.newest, "read-write");
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  const temporary = `${layout.newest}.new`;
  const made = await createAnew(disk, temporary);
  try {
    await writeSlots(made, { generation: 1, logId, sequence: 0 });
  } finally {
    await made.close();
  }
  await disk.rename(temporary, layout.newest);
  await disk.syncDirectory(layout.root);
  return disk.open(layout.newest, "read-write");
}

async function writeSlots(file: DiskFile, slot: NewestSlot): Promise<void> {
  for (const number of NEWEST_SLOTS) await file.write(number * NEWEST_SLOT_SPACING, [encodeSlot(number, slot)]);
  await file.sync();
}

function encodeSlot(number: number, { generation, logId, sequence }: NewestSlot): Uint8Array {
  const writer = new ByteWriter(NEWEST_SLOT_LENGTH);
  writer.u64(0n).u32(MARK).u16(VERSION).int(generation).u32(logId).int(sequence);
  writer.bytes(new Uint8Array(NEWEST_SLOT_LENGTH - writer.length));
  writer.patchU64(0, xxh64(writer.view().subarray(HASH_LENGTH), BigInt(number)));
  return writer.finish();
}

/** The intact slots, the one that counts first. */
export async function readNewest(file: DiskFile): Promise<readonly NewestSlot[]> {
  const slots: NewestSlot[] = [];
  for (const number of NEWEST_SLOTS) {
    const slot = await readNewestSlot(file, number);
    if (slot !== undefined) slots.push(slot);
  }
  return slots.sort((a, b) => b.generation - a.generation);
}

/** A slot as it stands; undefined: it is damaged, or of a version that is not known here. */
export async function readNewestSlot(file: DiskFile, number: number): Promise<NewestSlot | undefined> {
  const bytes = new Uint8Array(NEWEST_SLOT_LENGTH);
  try {
    if ((await file.read(number * NEWEST_SLOT_SPACING, bytes)) < NEWEST_SLOT_LENGTH) return undefined;
  } catch (error) {
    if (error instanceof DiskError && error.code === "io") return undefined;
    throw error;
  }
  const reader = new ByteReader(bytes);
  if (reader.u64() !== xxh64(bytes.subarray(HASH_LENGTH), BigInt(number))) return undefined;
  if (reader.u32() !== MARK || reader.u16() !== VERSION) return undefined;
  const slot = { generation: reader.int(), logId: reader.u32(), sequence: reader.int() };
  return reader.failed ? undefined : slot;
}
