/**
 * The records behind leases, which are only offsets: read where they are. The newest answer is kept, for who takes one
 * record of a batch will likely take the next; so it holds one portion of one stream, and what a larger batch takes.
 */
import { firstNotBefore } from "../../src/lib/sorted.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import type { GroupLease } from "../../src/wire/group-command.ts";
import type { Connection, PersistentCall } from "../connection.ts";
import { asTidemarkError, TidemarkError } from "../error.ts";
import { decodeAnswer } from "../reading/read-answer.ts";
import type { ReceivedRecord } from "../reading/received-record.ts";

/** All records of `[from, to)` of a stream. */
type Portion = {
  readonly stream: string;
  readonly incarnation: Incarnation;
  readonly from: Offset;
  readonly to: Offset;
  readonly records: readonly ReceivedRecord[];
};

/** What begins at a lease's first offset: its records up to `to`. Those that are missing are gone for good. */
export type LeasedPart = { readonly records: readonly ReceivedRecord[]; readonly to: Offset };

export class LeasedRecords {
  readonly #connection: Connection;
  readonly #bytesMax: number;
  readonly #zstd: Zstd | undefined;
  #newest: Portion | undefined;

  constructor(connection: Connection, bytesMax: number, zstd: Zstd | undefined) {
    this.#connection = connection;
    this.#bytesMax = bytesMax;
    this.#zstd = zstd;
  }

  /** As much of it as one portion has. Undefined: its stream is gone, and all leases with it. */
  async beginningOf(lease: GroupLease, call: PersistentCall): Promise<LeasedPart | undefined> {
    const portion = this.#covering(lease) ?? (await this.#read(lease, call));
    if (portion === undefined) return undefined;
    const to = Math.min(lease.offset + lease.count, portion.to);
    const { records } = portion;
    return { records: records.slice(firstFrom(records, lease.offset), firstFrom(records, to)), to };
  }

  #covering({ stream, incarnation, offset }: GroupLease): Portion | undefined {
    const portion = this.#newest;
    if (portion === undefined || portion.stream !== stream || portion.incarnation !== incarnation) return undefined;
    return portion.from <= offset && offset < portion.to ? portion : undefined;
  }

  async #read({ stream, incarnation, offset }: GroupLease, call: PersistentCall): Promise<Portion | undefined> {
    const query = { stream, incarnation, from: "offset", offset, maxBytes: this.#bytesMax, waitMs: 0 } as const;
    try {
      const answer = await this.#connection.read(query, call);
      const records = decodeAnswer(answer, offset, this.#zstd).flatMap((run) => run.records);
      // Of what it does not tell nobody may conclude that it is gone.
      if (answer.nextOffset <= offset)
        throw new TidemarkError(
          "protocol-error",
          `nothing was answered for the leased offset ${offset} of "${stream}"`,
        );
      this.#newest = { stream, incarnation, from: offset, to: answer.nextOffset, records };
      return this.#newest;
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (error.code === "stream-not-found" || error.code === "stream-gone") return undefined;
      if (error.code !== "offset-trimmed" || error.gap === undefined) throw error;
      return { stream, incarnation, from: offset, to: error.gap.to, records: [] };
    }
  }
}

/** The place of the first record at the offset or behind it. */
function firstFrom(records: readonly ReceivedRecord[], offset: Offset): number {
  return firstNotBefore(records, (record) => record.offset < offset);
}
