/** One stream that a member owns: reads it from where the group is, and knows how far it was delivered and processed. */
import type { GroupAssignment } from "../../src/wire/group-command.ts";
import type { Incarnation, Offset } from "../../src/record/offset.ts";
import { asTidemarkError, type TidemarkError } from "../error.ts";
import { contentOf, GroupRecord } from "./group-record.ts";
import type { ReceivedRecord } from "../reading/received-record.ts";
import type { RecordStream } from "../reading/record-stream.ts";

const NO_RECORDS: readonly ReceivedRecord[] = [];

export class PartitionReader {
  readonly stream: string;
  readonly incarnation: Incarnation;
  readonly generation: number;
  /** Everything before this was processed, as far as this member knows. */
  processed: Offset;
  /** And the server was told so. */
  committed: Offset;
  readonly #reader: RecordStream;
  readonly #portions: AsyncIterator<readonly ReceivedRecord[], void>;
  readonly #onChange: (reader: PartitionReader, error: TidemarkError | undefined) => void;
  #records: readonly ReceivedRecord[] = NO_RECORDS;
  #at = 0;
  #closed = false;

  /** `onChange`: there are records, or the reading has failed. */
  constructor(
    assignment: GroupAssignment,
    reader: RecordStream,
    onChange: (reader: PartitionReader, error: TidemarkError | undefined) => void,
  ) {
    this.stream = assignment.stream;
    this.incarnation = assignment.incarnation;
    this.generation = assignment.generation;
    this.processed = assignment.committed;
    this.committed = assignment.committed;
    this.#reader = reader;
    this.#portions = reader.batches();
    this.#onChange = onChange;
    void this.#fill();
  }

  get hasRecords(): boolean {
    return this.#at < this.#records.length;
  }

  /** The next record, of those that are there; the last one sends for more. */
  take(): GroupRecord | undefined {
    const record = this.#records[this.#at];
    if (record === undefined) return undefined;
    this.#at += 1;
    if (!this.hasRecords) {
      this.#records = NO_RECORDS;
      this.#at = 0;
      void this.#fill();
    }
    const { stream, incarnation, generation } = this;
    return new GroupRecord(
      contentOf(record),
      { stream, incarnation, generation, offset: record.offset },
      record.logTime,
    );
  }

  /** Reads no more; what it knows stays. */
  close(): void {
    this.#closed = true;
    this.#at = 0;
    this.#records = NO_RECORDS;
    this.#reader.close();
  }

  async #fill(): Promise<void> {
    try {
      const { done, value } = await this.#portions.next();
      // Closed: it stays the member's, but nothing more comes.
      if (done === true || this.#closed) return;
      this.#records = value;
      this.#onChange(this, undefined);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      // Deleted: the server takes it away.
      if (this.#closed || error.code === "stream-not-found" || error.code === "stream-gone") return;
      this.#onChange(this, error);
    }
  }
}
