/**
 * What a rewrite keeps: the batches it has copied, of which there may be hundreds of thousands, and for each stream
 * which offsets the rewritten segment covers. From this its index block is written.
 */
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { BatchColumns } from "../index/batch-columns.ts";
import type { BatchRow, StreamRecord } from "../index/index-block.ts";

/** A stream in the rewritten segment. */
type Coverage = {
  readonly incarnation: number;
  readonly from: number;
  to: number;
  /** Of what was copied. */
  end: number;
  lastLogTime: number;
  bytes: number;
  /** Of the columns, by offset. */
  readonly rows: number[];
};

/** A stretch of a stream that should be there, and is not. */
export type MissingRange = { readonly streamId: number; readonly from: number; readonly to: number };

export class KeptBatches {
  dataBytes = 0;
  readonly #streams = new Map<number, Coverage>();
  readonly #columns = new BatchColumns();

  get count(): number {
    return this.#columns.count;
  }

  /** Whether a source before held something of the stream. */
  covers(streamId: number): boolean {
    return this.#streams.has(streamId);
  }

  /**
   * The next source holds this of a stream, which is live at its end. Sources come in log order, so each goes on where the
   * one before ended. What does not has lost something, and must not pass for compacted.
   */
  cover(record: StreamRecord): Result<void, MissingRange> {
    const { streamId, incarnation, firstOffset, endOffset, lastLogTime } = record;
    const known = this.#streams.get(streamId);
    if (known === undefined) {
      this.#streams.set(streamId, {
        incarnation,
        from: firstOffset,
        to: endOffset,
        end: firstOffset,
        lastLogTime,
        bytes: 0,
        rows: [],
      });
      return ok(undefined);
    }
    if (known.to !== firstOffset) return err({ streamId, from: known.to, to: firstOffset });
    known.to = endOffset;
    known.lastLogTime = lastLogTime;
    return ok(undefined);
  }

  /** Whether a batch may come next in its stream. */
  takes({ streamId, firstOffset, span }: Pick<BatchRow, "streamId" | "firstOffset" | "span">): boolean {
    const stream = this.#streams.get(streamId);
    return stream !== undefined && firstOffset >= stream.end && firstOffset + span <= stream.to;
  }

  /** A batch was copied; those of a stream come in the order of their offsets. */
  add(row: BatchRow): void {
    const stream = this.#streams.get(row.streamId) as Coverage;
    stream.rows.push(this.#columns.add(row));
    stream.end = row.firstOffset + row.span;
    stream.bytes += row.length;
    this.dataBytes += row.length;
  }

  /** By stream. */
  records(): StreamRecord[] {
    let firstRow = 0;
    return [...Float64Array.from(this.#streams.keys()).sort()].map((streamId): StreamRecord => {
      const { incarnation, from, to, lastLogTime, bytes, rows } = this.#streams.get(streamId) as Coverage;
      const record: StreamRecord = {
        streamId,
        firstRow,
        rowCount: rows.length,
        incarnation,
        firstOffset: from,
        endOffset: to,
        bytes,
        lastLogTime,
      };
      firstRow += rows.length;
      return record;
    });
  }

  /** By stream and offset. */
  *rows(): Generator<BatchRow, undefined> {
    for (const { streamId } of this.records()) {
      for (const at of (this.#streams.get(streamId) as Coverage).rows) yield this.#columns.row(at);
    }
  }
}
