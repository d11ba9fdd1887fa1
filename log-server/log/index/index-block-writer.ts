/** Writes the index block of a segment (`index-block.ts`), be it one that is sealed or one that was rewritten. */
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { LogEnd } from "../entries/closing.ts";
import { setInt } from "../entries/entry-codec.ts";
import {
  type BatchRow,
  IndexTables,
  NO_STREAM,
  RECORD_BYTES,
  type SealedFacts,
  type StreamRecord,
  type TableName,
  writeFacts,
  writeRow,
  writeStream,
} from "./index-block.ts";
import { PAGE_BODY_BYTES, PAGE_HASH_LENGTH, PageWriter } from "./index-pages.ts";
import type { SegmentIndex, StreamRows } from "../segments/segment-index.ts";
import { type TermRun, termRuns } from "../segments/term-runs.ts";

export type BlockContent = {
  readonly facts: SealedFacts;
  readonly streams: readonly StreamRecord[];
  /** Asked for each row once, in their order. */
  readonly nextRow: () => BatchRow;
  /** Of the entry in this slot; of a rewritten segment there are none. */
  readonly entry: (slot: number) => { readonly place: number; readonly length: number } | undefined;
  readonly terms: readonly TermRun[];
  readonly sources: readonly number[];
};

export type SealSource = {
  readonly logId: number;
  readonly sequence: number;
  readonly end: LogEnd;
  readonly fileBytes: number;
  readonly index: SegmentIndex;
};

/** Writes a block; the caller syncs. */
export async function writeBlock(file: DiskFile, content: BlockContent): Promise<void> {
  const { facts, streams, terms, sources } = content;
  const writer = new PageWriter(file, facts.sequence, new IndexTables(facts).pageCount);
  await writer.add((_page, data) => writeFacts(data, facts));
  await writeTable(writer, "streams", streams.length, (data, at, record) =>
    writeStream(data, at, streams[record] as StreamRecord),
  );
  await writeTable(writer, "rows", facts.rowCount, (data, at) => writeRow(data, at, content.nextRow()));
  await writeTable(writer, "entries", facts.entryCount, (data, at, slot) => {
    const entry = content.entry(slot);
    if (entry === undefined) return;
    data.setUint32(at, entry.place, true);
    data.setUint32(at + 4, entry.length, true);
  });
  await writeTable(writer, "terms", terms.length, (data, at, run) => {
    setInt(data, at, (terms[run] as TermRun).firstIndex);
    setInt(data, at + 8, (terms[run] as TermRun).term);
  });
  await writeTable(writer, "sources", sources.length, (data, at, source) =>
    setInt(data, at, sources[source] as number),
  );
  await writer.finish();
}

/** Writes the block of a segment, all of whose entries are applied; the caller syncs. */
export async function writeIndexBlock(
  file: DiskFile,
  source: SealSource,
): Promise<{ facts: SealedFacts; terms: readonly TermRun[]; streams: readonly StreamRecord[] }> {
  const { index, sequence } = source;
  const { entries } = index;
  const streams = [...Uint32Array.from(index.streams.keys()).sort()].map(
    (streamId) => [streamId, index.streams.get(streamId) as StreamRows] as const,
  );
  const records = streamRecords(index, streams);
  const ordered: (readonly number[])[] = streams.map(([, stream]) => stream.rows);
  if (index.rejected.length > 0) ordered.push(index.rejected);
  const terms = termRuns(index);
  const facts: SealedFacts = {
    logId: source.logId,
    sequence,
    firstIndex: index.firstIndex,
    end: source.end,
    order: sequence,
    fileBytes: source.fileBytes,
    dataBytes: streams.reduce((sum, [, stream]) => sum + stream.bytes, 0),
    streamCount: records.length,
    rowCount: records.reduce((sum, record) => sum + record.rowCount, 0),
    entryCount: index.count,
    termCount: terms.length,
    sourceCount: 0,
  };
  let group = 0;
  let member = 0;
  const nextRow = (): BatchRow => {
    while (member === (ordered[group] as readonly number[]).length) {
      group += 1;
      member = 0;
    }
    const row = (ordered[group] as readonly number[])[member] as number;
    member += 1;
    return rowOf(index, row, (records[group] as StreamRecord).streamId);
  };
  const entry: BlockContent["entry"] = (slot) => ({
    place: entries.place[slot] as number,
    length: entries.length[slot] as number,
  });
  await writeBlock(file, { facts, streams: records, nextRow, entry, terms, sources: [] });
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

function rowOf({ rows, entries, firstIndex }: SegmentIndex, row: number, streamId: number): BatchRow {
  const slot = rows.slot[row] as number;
  return {
    streamId,
    firstOffset: rows.firstOffset[row] as number,
    span: rows.span[row] as number,
    place: rows.place[row] as number,
    length: rows.length[row] as number,
    hash: rows.hash[row] as bigint,
    logTime: entries.logTime[slot] as number,
    position: firstIndex + slot,
    ordinal: row - (entries.firstRow[slot] as number),
  };
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
