/**
 * The index block of a sealed segment: a file of checksummed pages (`index-pages.ts`), written once. Page 0 says what
 * the segment holds; behind it four tables of fixed-size records, each beginning on a page of its own:
 *
 *     streams  u32 stream · u32 first row · u32 rows · u32 0 · u64 incarnation · u64 first offset · u64 end offset ·
 *              u64 bytes · u64 last log time                  by stream; batches not accepted: stream 2^32 - 1, last
 *     rows     u64 first offset · u64 hash · u64 log time · u32 span · u32 place · u32 length · u32 stream
 *                                                             one per batch, by stream and offset
 *     entries  u32 place · u32 length                         one per entry; 0: its head was damaged
 *     terms    u64 first index · u64 term                     where a term begins; term 0: damage hides it
 *
 * A row names its stream, so that it verifies by itself, wherever the reader learned of it.
 */
import { assert } from "../../src/lib/assert.ts";
import type { DiskFile } from "../../src/ports/disk.ts";
import type { LogEnd } from "./closing.ts";
import { getInt, setInt } from "./entry-codec.ts";
import { PAGE_BODY_BYTES, PAGE_HASH_LENGTH, PageWriter } from "./index-pages.ts";
import type { SegmentIndex, StreamRows } from "./segment-index.ts";
import type { TermRun } from "./term-runs.ts";

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
  /** Of batches accepted. */
  readonly dataBytes: number;
  readonly streamCount: number;
  readonly rowCount: number;
  readonly entryCount: number;
  readonly termCount: number;
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
};

export type EntryRecord = { readonly place: number; readonly length: number };

/** A table of records of one size. */
type Table = { readonly recordBytes: number; readonly count: number; readonly firstPage: number };

const RECORD_BYTES = { streams: 56, rows: 40, entries: 8, terms: 16 } as const;
export type TableName = keyof typeof RECORD_BYTES;

/** Where a record stands. */
export type RecordPlace = { readonly page: number; readonly at: number };

/** Where the tables of a block are. */
export class IndexTables {
  readonly #tables: Readonly<Record<TableName, Table>>;
  readonly pageCount: number;

  constructor(facts: Pick<SealedFacts, "streamCount" | "rowCount" | "entryCount" | "termCount">) {
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
    };
    this.pageCount = page;
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

/** Writes the block of a segment, all of whose entries are applied; the caller syncs. */
export async function writeIndexBlock(
  file: DiskFile,
  source: { readonly logId: number; readonly sequence: number; readonly end: LogEnd; readonly index: SegmentIndex },
): Promise<{ facts: SealedFacts; terms: readonly TermRun[]; streams: readonly StreamRecord[] }> {
  const { index } = source;
  const streams = [...Uint32Array.from(index.streams.keys()).sort()].map(
    (streamId) => [streamId, index.streams.get(streamId) as StreamRows] as const,
  );
  const records = streamRecords(index, streams);
  const ordered: (readonly number[])[] = streams.map(([, stream]) => stream.rows);
  if (index.rejected.length > 0) ordered.push(index.rejected);
  const terms = termRuns(index);
  const facts: SealedFacts = {
    logId: source.logId,
    sequence: source.sequence,
    firstIndex: index.firstIndex,
    end: source.end,
    dataBytes: streams.reduce((sum, [, stream]) => sum + stream.bytes, 0),
    streamCount: records.length,
    rowCount: records.reduce((sum, record) => sum + record.rowCount, 0),
    entryCount: index.count,
    termCount: terms.length,
  };
  const writer = new PageWriter(file, source.sequence, new IndexTables(facts).pageCount);
  await writer.add((_page, data) => writeFacts(data, facts));
  await writeTable(writer, "streams", records.length, (data, at, record) =>
    writeStream(data, at, records[record] as StreamRecord),
  );

  // Rows are walked stream by stream; `writeTable` asks for them in this order.
  let group = 0;
  let member = 0;
  await writeTable(writer, "rows", facts.rowCount, (data, at) => {
    while (member === (ordered[group] as readonly number[]).length) {
      group += 1;
      member = 0;
    }
    const row = (ordered[group] as readonly number[])[member] as number;
    writeRow(data, at, index, row, (records[group] as StreamRecord).streamId);
    member += 1;
  });
  await writeTable(writer, "entries", index.count, (data, at, slot) => {
    if (index.entries.intact[slot] === 0) return;
    data.setUint32(at, index.entries.place[slot] as number, true);
    data.setUint32(at + 4, index.entries.length[slot] as number, true);
  });
  await writeTable(writer, "terms", terms.length, (data, at, run) => {
    setInt(data, at, (terms[run] as TermRun).firstIndex);
    setInt(data, at + 8, (terms[run] as TermRun).term);
  });
  await writer.finish();
  return { facts, terms, streams: records.filter((record) => record.streamId !== NO_STREAM) };
}

async function writeTable(
  writer: PageWriter,
  name: TableName,
  count: number,
  write: (data: DataView, at: number, record: number) => void,
): Promise<void> {
  const recordBytes = RECORD_BYTES[name];
  const perPage = Math.floor(PAGE_BODY_BYTES / recordBytes);
  for (let first = 0; first < count; first += perPage) {
    await writer.add((_page, data) => {
      const end = Math.min(count, first + perPage);
      for (let record = first; record < end; record += 1)
        write(data, PAGE_HASH_LENGTH + (record - first) * recordBytes, record);
    });
  }
}

function streamRecords(index: SegmentIndex, streams: readonly (readonly [number, StreamRows])[]): StreamRecord[] {
  let firstRow = 0;
  const records = streams.map(([streamId, stream]): StreamRecord => {
    const record: StreamRecord = {
      streamId,
      firstRow,
      rowCount: stream.rows.length,
      incarnation: stream.incarnation,
      firstOffset: index.rows.firstOffset[stream.rows[0] as number] as number,
      endOffset: stream.endOffset,
      bytes: stream.bytes,
      lastLogTime: stream.lastLogTime,
    };
    firstRow += stream.rows.length;
    return record;
  });
  const rowCount = index.rejected.length;
  if (rowCount > 0) {
    records.push({
      streamId: NO_STREAM,
      firstRow,
      rowCount,
      incarnation: 0,
      firstOffset: 0,
      endOffset: 0,
      bytes: 0,
      lastLogTime: 0,
    });
  }
  return records;
}

/** Where the terms of a segment's entries begin. */
export function termRuns(index: SegmentIndex): TermRun[] {
  const runs: TermRun[] = [];
  for (let slot = 0; slot < index.count; slot += 1) {
    const term = index.entries.term[slot] as number;
    if (runs.at(-1)?.term !== term) runs.push({ firstIndex: index.firstIndex + slot, term });
  }
  return runs;
}

function writeFacts(data: DataView, facts: SealedFacts): void {
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
  };
}

function writeStream(data: DataView, at: number, record: StreamRecord): void {
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

function writeRow(data: DataView, at: number, index: SegmentIndex, row: number, streamId: number): void {
  const { rows, entries } = index;
  setInt(data, at, rows.firstOffset[row] as number);
  data.setBigUint64(at + 8, rows.hash[row] as bigint, true);
  setInt(data, at + 16, entries.logTime[rows.slot[row] as number] as number);
  data.setUint32(at + 24, rows.span[row] as number, true);
  data.setUint32(at + 28, rows.place[row] as number, true);
  data.setUint32(at + 32, rows.length[row] as number, true);
  data.setUint32(at + 36, streamId, true);
}

export function readRow(data: DataView, at: number): BatchRow {
  return {
    firstOffset: getInt(data, at),
    hash: data.getBigUint64(at + 8, true),
    logTime: getInt(data, at + 16),
    span: data.getUint32(at + 24, true),
    place: data.getUint32(at + 28, true),
    length: data.getUint32(at + 32, true),
    streamId: data.getUint32(at + 36, true),
  };
}

export function readEntryRecord(data: DataView, at: number): EntryRecord {
  return { place: data.getUint32(at, true), length: data.getUint32(at + 4, true) };
}

export function readTermRun(data: DataView, at: number): TermRun {
  return { firstIndex: getInt(data, at), term: getInt(data, at + 8) };
}
