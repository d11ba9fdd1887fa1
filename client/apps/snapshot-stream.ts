/** A task's stream of snapshots on a cluster: the runtime's port on top of a stream. It makes the stream where it is missing. */
import { formatOffset, type Incarnation, type Offset } from "../../src/record/offset.ts";
import type { SnapshotStream, StreamBounds, StreamPart } from "../../src/runtime/snapshots/snapshot-stream.ts";
import { asTidemarkError, type TidemarkErrorCode } from "../error.ts";
import type { ReceivedRecord } from "../reading/received-record.ts";
import type { RecordStream } from "../reading/record-stream.ts";
import type { Stream } from "../stream.ts";

/** The stream, or the one that was read, is not there any more; or not so long, for it was made anew. */
const DELETED: ReadonlySet<TidemarkErrorCode> = new Set<TidemarkErrorCode>([
  "stream-not-found",
  "stream-gone",
  "malformed-offset",
]);

/** Where the last read ended: the next one mostly goes on there. */
type Reading = { readonly records: RecordStream; next: ReceivedRecord | undefined };

export class ClientSnapshots implements SnapshotStream {
  readonly #stream: Stream;
  #reading: Reading | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  async bounds(): Promise<StreamBounds> {
    try {
      const { firstOffset, nextOffset, incarnation } = await this.#stream.describe();
      return { first: firstOffset, next: nextOffset, incarnation };
    } catch (error) {
      if (asTidemarkError(error).code !== "stream-not-found") throw error;
      const { nextOffset, incarnation } = await this.#stream.create();
      return { first: nextOffset, next: nextOffset, incarnation };
    }
  }

  /** One at a time. */
  async read(from: Offset, bytes: number): Promise<StreamPart> {
    try {
      return await this.#part(from, bytes);
    } catch (error) {
      this.#reading = undefined;
      if (!DELETED.has(asTidemarkError(error).code)) throw error;
      // All snapshots were deleted meanwhile: there is nothing more, as behind the end.
      return { from, values: [] };
    }
  }

  async #part(from: Offset, bytes: number): Promise<StreamPart> {
    const reading = this.#reading?.next?.offset === from ? this.#reading : await this.#begin(from);
    const first = reading.next?.offset ?? from;
    const values: Uint8Array[] = [];
    let left = bytes;
    // A trim meanwhile leaves a gap: what is behind it is another part.
    while (reading.next?.offset === first + values.length && left > 0) {
      const value = reading.next.value ?? new Uint8Array(0);
      values.push(value);
      left -= value.length;
      reading.next = (await reading.records.next()).value;
    }
    if (reading.next === undefined) this.#reading = undefined;
    return { from: first, values };
  }

  async append(values: readonly Uint8Array[]): Promise<Offset> {
    const { offset } = await this.#stream.append(values.map((value) => ({ value })));
    return offset;
  }

  async trim(before: Offset, incarnation: Incarnation): Promise<void> {
    try {
      await this.#stream.trim(formatOffset(incarnation, before));
    } catch (error) {
      const { code } = asTidemarkError(error);
      // Input was trimmed on it: it stays until a newer one is verified.
      if (code !== "snapshot-needed" && !DELETED.has(code)) throw error;
    }
  }

  async #begin(from: Offset): Promise<Reading> {
    this.#reading?.records.close();
    const records = this.#stream.read({ from, onGap: () => undefined });
    this.#reading = { records, next: (await records.next()).value };
    return this.#reading;
  }
}
