/**
 * The index block of a sealed segment: a file of checksummed pages (`index-pages.ts`), written once by
 * `index-block-writer.ts`. Page 0 says what the segment holds; behind it five tables of fixed-size records, each
 * beginning on a page of its own:
 *
 *     streams  u32 stream · u32 first row · u32 rows · u32 0 · u64 incarnation · u64 first offset · u64 end offset ·
 *              u64 bytes · u64 last log time                  by stream; batches not accepted: stream 2^32 - 1, last
 *     rows     u64 first offset · u64 hash · u64 log time · u64 position · u32 ordinal · u32 span · u32 place ·
 *              u32 length · u32 stream                        one per batch, by stream and offset
 *     entries  u32 place · u32 length                         one per entry, also where its head is damaged; 0: not known
 *     terms    u64 first index · u64 term                     where a term begins; term 0: damage hides it
 *     sources  u64 sequence                                   of a rewritten segment: those that it replaced
 *
 * A row names its stream, so that it verifies by itself, wherever the reader learned of it.
 *
 * The batches of a stream in a segment cover its offsets from first to end without a gap, so a row that is missing is
 * damage. Not so in a rewritten segment: there the stream's record says what offsets it covers, and what of them has
 * no row was compacted or trimmed. It has no entries.
 */
import { assert } from "../../../src/lib/assert.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import type { LogEnd } from "../entries/closing.ts";
import { getInt, setInt } from "../entries/entry-codec.ts";
import { fileBytesOf, PAGE_BODY_BYTES, PAGE_HASH_LENGTH } from "./index-pages.ts";
import type { TermRun } from "../segments/term-runs.ts";

const MARK = 0x58494d54;
const VERSION = 1;

/** The stream of batches that were not accepted. */
export const NO_STREAM = 0xffff_ffff;

/** What page 0 says. */
export type SealedFacts = {
  readonly logId: number;
  readonly sequence: number;
  readonly firstIndex: number;
  readonly end: LogEnd;
  /** Segments stand in this order: its sequence; of a rewritten one, the place of the last that it replaced. */
  readonly order: number;
  /** Of the file beside the block. */
  readonly fileBytes: number;
  /** Of batches accepted. */
  readonly dataBytes: number;
  readonly streamCount: number;
  readonly rowCount: number;
  readonly entryCount: number;
  readonly termCount: number;
  /** Not 0: the segment is a rewritten one. */
  readonly sourceCount: number;
};

export type StreamRecord = {
  readonly streamId: number;
  readonly firstRow: number;
  readonly rowCount: number;
  readonly incarnation: number;
  readonly firstOffset: number;
  readonly endOffset: number;
  readonly bytes: number;
  readonly lastLogTime: number;
};

export type BatchRow = {
  readonly streamId: number;
  readonly firstOffset: number;
  readonly span: number;
  readonly place: number;
  readonly length: number;
  readonly hash: bigint;
  readonly logTime: number;
  /** The entry that appended it, and which of that entry's batches it is, from 0. */
  readonly position: number;
  readonly ordinal: number;
};

export type EntryRecord = { readonly place: number; readonly length: number };

/** A table of records of one size. */
type Table = { readonly recordBytes: number; readonly count: number; readonly firstPage: number };

export const RECORD_BYTES = { streams: 56, rows: 52, entries: 8, terms: 16, sources: 8 } as const;
export type TableName = keyof typeof RECORD_BYTES;

/** Where a record stands. */
export type RecordPlace = { readonly page: number; readonly at: number };

/** Where the tables of a block are. */
export class IndexTables {
  readonly #tables: Readonly<Record<TableName, Table>>;
  readonly pageCount: number;

  constructor(facts: Pick<SealedFacts, "streamCount" | "rowCount" | "entryCount" | "termCount" | "sourceCount">) {
    let page = 1;
    const table = (name: TableName, count: number): Table => {
      const recordBytes = RECORD_BYTES[name];
      const firstPage = page;
      page += Math.ceil(count / Math.floor(PAGE_BODY_BYTES / recordBytes));
      return { recordBytes, count, firstPage };
    };
    this.#tables = {
      streams: table("streams", facts.streamCount),
      rows: table("rows", facts.rowCount),
      entries: table("entries", facts.entryCount),
      terms: table("terms", facts.termCount),
      sources: table("sources", facts.sourceCount),
    };
    this.pageCount = page;
  }

  /** Of the block's file. */
  get fileBytes(): number {
    return fileBytesOf(this.pageCount);
  }

  count(name: TableName): number {
    return this.#tables[name].count;
  }

  locate(name: TableName, record: number): RecordPlace {
    const table = this.#tables[name];
    assert(record >= 0 && record < table.count, "a record of the table");
    const perPage = Math.floor(PAGE_BODY_BYTES / table.recordBytes);
    return {
      page: table.firstPage + Math.floor(record / perPage),
      at: PAGE_HASH_LENGTH + (record % perPage) * table.recordBytes,
    };
  }

  perPage(name: TableName): number {
    return Math.floor(PAGE_BODY_BYTES / RECORD_BYTES[name]);
  }
}

export function writeFacts(data: DataView, facts: SealedFacts): void {
  const at = PAGE_HASH_LENGTH;
  data.setUint32(at, MARK, true);
  data.setUint16(at + 4, VERSION, true);
  data.setUint32(at + 8, facts.logId, true);
  setInt(data, at + 16, facts.sequence);
  setInt(data, at + 24, facts.firstIndex);
  setInt(data, at + 32, facts.end.index);
  setInt(data, at + 40, facts.end.term);
  data.setBigUint64(at + 48, facts.end.hash, true);
  setInt(data, at + 56, facts.end.logTime);
  setInt(data, at + 64, facts.dataBytes);
  data.setUint32(at + 72, facts.streamCount, true);
  data.setUint32(at + 76, facts.rowCount, true);
  data.setUint32(at + 80, facts.entryCount, true);
  data.setUint32(at + 84, facts.termCount, true);
  data.setUint32(at + 88, facts.sourceCount, true);
  setInt(data, at + 96, facts.order);
  setInt(data, at + 104, facts.fileBytes);
}

/** Reads a verified page 0; undefined for one that this version does not know. */
export function readFacts(data: DataView): SealedFacts | undefined {
  const at = PAGE_HASH_LENGTH;
  if (data.getUint32(at, true) !== MARK || data.getUint16(at + 4, true) !== VERSION) return undefined;
  return {
    logId: data.getUint32(at + 8, true),
    sequence: getInt(data, at + 16),
    firstIndex: getInt(data, at + 24),
    end: {
      index: getInt(data, at + 32),
      term: getInt(data, at + 40),
      hash: data.getBigUint64(at + 48, true),
      logTime: getInt(data, at + 56),
    },
    dataBytes: getInt(data, at + 64),
    streamCount: data.getUint32(at + 72, true),
    rowCount: data.getUint32(at + 76, true),
    entryCount: data.getUint32(at + 80, true),
    termCount: data.getUint32(at + 84, true),
    sourceCount: data.getUint32(at + 88, true),
    order: getInt(data, at + 96),
    fileBytes: getInt(data, at + 104),
  };
}

/** By it a segment's block is told from another's of the same number. */
export function digestOfFacts(facts: SealedFacts): bigint {
  const page = new Uint8Array(PAGE_HASH_LENGTH + PAGE_BODY_BYTES);
  writeFacts(new DataView(page.buffer), facts);
  return xxh64(page);
}

export function writeStream(data: DataView, at: number, record: StreamRecord): void {
  data.setUint32(at, record.streamId, true);
  data.setUint32(at + 4, record.firstRow, true);
  data.setUint32(at + 8, record.rowCount, true);
  setInt(data, at + 16, record.incarnation);
  setInt(data, at + 24, record.firstOffset);
  setInt(data, at + 32, record.endOffset);
  setInt(data, at + 40, record.bytes);
  setInt(data, at + 48, record.lastLogTime);
}

export function readStream(data: DataView, at: number): StreamRecord {
  return {
    streamId: data.getUint32(at, true),
    firstRow: data.getUint32(at + 4, true),
    rowCount: data.getUint32(at + 8, true),
    incarnation: getInt(data, at + 16),
    firstOffset: getInt(data, at + 24),
    endOffset: getInt(data, at + 32),
    bytes: getInt(data, at + 40),
    lastLogTime: getInt(data, at + 48),
  };
}

export function writeRow(data: DataView, at: number, row: BatchRow): void {
  setInt(data, at, row.firstOffset);
  data.setBigUint64(at + 8, row.hash, true);
  setInt(data, at + 16, row.logTime);
  setInt(data, at + 24, row.position);
  data.setUint32(at + 32, row.ordinal, true);
  data.setUint32(at + 36, row.span, true);
  data.setUint32(at + 40, row.place, true);
  data.setUint32(at + 44, row.length, true);
  data.setUint32(at + 48, row.streamId, true);
}

export function readRow(data: DataView, at: number): BatchRow {
  return {
    firstOffset: getInt(data, at),
    hash: data.getBigUint64(at + 8, true),
    logTime: getInt(data, at + 16),
    position: getInt(data, at + 24),
    ordinal: data.getUint32(at + 32, true),
    span: data.getUint32(at + 36, true),
    place: data.getUint32(at + 40, true),
    length: data.getUint32(at + 44, true),
    streamId: data.getUint32(at + 48, true),
  };
}

export function readEntryRecord(data: DataView, at: number): EntryRecord {
  return { place: data.getUint32(at, true), length: data.getUint32(at + 4, true) };
}

export function readTermRun(data: DataView, at: number): TermRun {
  return { firstIndex: getInt(data, at), term: getInt(data, at + 8) };
}

export function readSource(data: DataView, at: number): number {
  return getInt(data, at);
}
