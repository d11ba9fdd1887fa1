/**
 * Sealed segments, and what is left of some after they were rewritten: immutable, with an index block on disk. Of each only a few facts are in memory; pages of the
 * block are read when needed and the most recently used kept.
 */
import type { DiskFile } from "../../../src/ports/disk.ts";
import type { FilePool } from "./file-pool.ts";
import {
  type BatchRow,
  type EntryRecord,
  digestOfFacts,
  IndexTables,
  RECORD_BYTES,
  readEntryRecord,
  readFacts,
  readRow,
  readSource,
  readStream,
  readTermRun,
  type SealedFacts,
  type StreamRecord,
  type TableName,
} from "../index/index-block.ts";
import { PAGE_BYTES, pageCountOf, pageIsIntact, placeOfPage, readPage } from "../index/index-pages.ts";
import type { LogLimits } from "../limits.ts";
import type { LogLayout } from "../log-layout.ts";
import type { TermRun } from "./term-runs.ts";
import { isMissing, isUnreadable } from "../repair/unreadable.ts";

export class SealedSegment {
  readonly kind = "sealed";
  readonly sequence: number;
  readonly facts: SealedFacts;
  readonly tables: IndexTables;
  readonly terms: readonly TermRun[];
  /** Of a rewritten segment: the sequences of those that it replaced. */
  readonly sources: readonly number[];
  /** A stream's data that was live when last looked at: while it is, nothing else need be looked at. */
  liveWitness: { readonly streamId: number; readonly endOffset: number } | undefined;

  constructor(facts: SealedFacts, terms: readonly TermRun[], sources: readonly number[]) {
    this.sequence = facts.sequence;
    this.facts = facts;
    this.tables = new IndexTables(facts);
    this.terms = terms;
    this.sources = sources;
  }

  /** It holds what survived of others: batches, but no entries. */
  get isRewritten(): boolean {
    return this.facts.sourceCount > 0;
  }

  /** Which of its files has the batches. */
  get dataKind(): "log" | "compacted" {
    return this.isRewritten ? "compacted" : "log";
  }

  /** See `SealedFacts`. */
  get order(): number {
    return this.facts.order;
  }

  get firstIndex(): number {
    return this.facts.firstIndex;
  }

  get lastIndex(): number {
    return this.facts.end.index;
  }
}

const PAGE_KEY_SPAN = 2 ** 24;
/** Pages read ahead in one call when a stream's rows are walked. */
const PAGES_AHEAD = 16;

/** Reads index blocks. Whatever is `undefined` is damaged, or of a block that is not the segment's own. */
export class IndexReader {
  readonly #pool: FilePool;
  readonly #layout: LogLayout;
  readonly #limits: LogLimits;
  /** The longest unused first. */
  readonly #pages = new Map<number, DataView>();
  /** Segments whose blocks were seen to say what is known of them. */
  readonly #owned = new WeakSet<SealedSegment>();

  constructor(pool: FilePool, layout: LogLayout, limits: LogLimits) {
    this.#pool = pool;
    this.#layout = layout;
    this.#limits = limits;
  }

  get cachedPages(): number {
    return this.#pages.size;
  }

  /** A sealed segment as its block describes it. */
  async open(sequence: number): Promise<SealedSegment | undefined> {
    const path = this.#layout.file(sequence, "index");
    const page = await this.#read(path, async (file) => readPage(file, sequence, 0, pageCountOf(await file.size())));
    if (page === undefined) return undefined;
    const facts = readFacts(viewOf(page));
    if (facts === undefined || facts.sequence !== sequence) return undefined;
    const bare = new SealedSegment(facts, [], []);
    this.#owned.add(bare);
    const terms: TermRun[] = [];
    for (let run = 0; run < facts.termCount; run += 1) {
      const read = await this.#record(bare, "terms", run, readTermRun);
      if (read === undefined) return undefined;
      terms.push(read);
    }
    const sources: number[] = [];
    for (let source = 0; source < facts.sourceCount; source += 1) {
      const read = await this.#record(bare, "sources", source, readSource);
      if (read === undefined) return undefined;
      sources.push(read);
    }
    return new SealedSegment(facts, terms, sources);
  }

  /**
   * Whether the file is this segment's block: page 0 says what is known of the segment. Pages verify by the segment's number,
   * which on another node, or in an older copy of the disk, may be another segment's.
   */
  async owns(segment: SealedSegment): Promise<boolean> {
    const { sequence, facts, tables } = segment;
    const path = this.#layout.file(sequence, "index");
    const page = await this.#read(path, (file) => readPage(file, sequence, 0, tables.pageCount));
    const found = page && readFacts(viewOf(page));
    return found !== undefined && digestOfFacts(found) === digestOfFacts(facts);
  }

  entry(segment: SealedSegment, slot: number): Promise<EntryRecord | undefined> {
    return this.#record(segment, "entries", slot, readEntryRecord);
  }

  row(segment: SealedSegment, row: number): Promise<BatchRow | undefined> {
    return this.#record(segment, "rows", row, readRow);
  }

  /** All streams of the segment, those of batches not accepted too. */
  async streams(segment: SealedSegment): Promise<StreamRecord[] | undefined> {
    const records: StreamRecord[] = [];
    for (let record = 0; record < segment.facts.streamCount; record += 1) {
      const read = await this.#record(segment, "streams", record, readStream);
      if (read === undefined) return undefined;
      records.push(read);
    }
    return records;
  }

  /** A stream's record; `absent` if the segment has nothing of it. */
  async stream(segment: SealedSegment, streamId: number): Promise<StreamRecord | "absent" | undefined> {
    let low = 0;
    let high = segment.facts.streamCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      const record = await this.#record(segment, "streams", middle, readStream);
      if (record === undefined) return undefined;
      if (record.streamId === streamId) return record;
      if (record.streamId < streamId) low = middle + 1;
      else high = middle;
    }
    return "absent";
  }

  /** Of a stream's rows from `firstRow` on, the first that ends behind `offset`; `firstRow + rowCount` if none does. */
  findRow(segment: SealedSegment, firstRow: number, rowCount: number, offset: number): Promise<number | undefined> {
    return this.#search(segment, firstRow, rowCount, (row) => row.firstOffset + row.span > offset);
  }

  /** The first that was appended at this log time or later; likewise. */
  findRowAt(segment: SealedSegment, firstRow: number, rowCount: number, atMs: number): Promise<number | undefined> {
    return this.#search(segment, firstRow, rowCount, (row) => row.logTime >= atMs);
  }

  async #search(
    segment: SealedSegment,
    firstRow: number,
    rowCount: number,
    isReached: (row: BatchRow) => boolean,
  ): Promise<number | undefined> {
    let low = firstRow;
    let high = firstRow + rowCount;
    while (low < high) {
      const middle = (low + high) >> 1;
      const row = await this.row(segment, middle);
      if (row === undefined) return undefined;
      if (isReached(row)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Brings the pages of these rows into memory, with few calls. */
  async readAhead(segment: SealedSegment, row: number, rowCount: number): Promise<void> {
    const { page: first } = segment.tables.locate("rows", row);
    const { page: last } = segment.tables.locate("rows", row + rowCount - 1);
    const end = Math.min(last, first + PAGES_AHEAD - 1);
    if (end === first || this.#pages.has(keyOf(segment, end)) || !(await this.#isOwned(segment))) return;
    const start = placeOfPage(first);
    const bytes = new Uint8Array(placeOfPage(end) + PAGE_BYTES - start);
    const path = this.#layout.file(segment.sequence, "index");
    if ((await this.#read(path, (file) => file.read(start, bytes))) !== bytes.length) return;
    for (let page = first; page <= end; page += 1) {
      const at = placeOfPage(page) - start;
      const whole = bytes.slice(at, at + PAGE_BYTES);
      if (pageIsIntact(whole, segment.sequence, page)) this.#keep(keyOf(segment, page), viewOf(whole));
    }
  }

  /**
   * All rows from `row` on, with few calls and past the pages in memory, which readers want. Whether all of them could be
   * read. Each call of the disk lets others have their turn.
   */
  async walkRows(
    segment: SealedSegment,
    row: number,
    rowCount: number,
    visit: (row: BatchRow) => void,
  ): Promise<boolean> {
    const perPage = segment.tables.perPage("rows");
    const path = this.#layout.file(segment.sequence, "index");
    if (!(await this.#isOwned(segment))) return false;
    for (let next = row; next < row + rowCount;) {
      const { page, at } = segment.tables.locate("rows", next);
      const bytes = await this.#read(path, (file) => readPage(file, segment.sequence, page, segment.tables.pageCount));
      if (bytes === undefined) return false;
      const data = viewOf(bytes);
      const end = Math.min(row + rowCount, next - (next % perPage) + perPage);
      for (let place = at; next < end; next += 1, place += RECORD_BYTES.rows) visit(readRow(data, place));
    }
    return true;
  }

  /** The block of this segment is another one from now on. */
  forget(sequence: number): void {
    for (const key of this.#pages.keys()) if (Math.floor(key / PAGE_KEY_SPAN) === sequence) this.#pages.delete(key);
  }

  async #record<T>(
    segment: SealedSegment,
    table: TableName,
    record: number,
    read: (data: DataView, at: number) => T,
  ): Promise<T | undefined> {
    const { page, at } = segment.tables.locate(table, record);
    const data = this.#cached(keyOf(segment, page)) ?? (await this.#page(segment, page));
    return data === undefined ? undefined : read(data, at);
  }

  async #page(segment: SealedSegment, page: number): Promise<DataView | undefined> {
    if (!(await this.#isOwned(segment))) return undefined;
    const path = this.#layout.file(segment.sequence, "index");
    const bytes = await this.#read(path, (file) => readPage(file, segment.sequence, page, segment.tables.pageCount));
    if (bytes === undefined) return undefined;
    const data = viewOf(bytes);
    this.#keep(keyOf(segment, page), data);
    return data;
  }

  /** Looked at once. */
  async #isOwned(segment: SealedSegment): Promise<boolean> {
    if (this.#owned.has(segment)) return true;
    if (!(await this.owns(segment))) return false;
    this.#owned.add(segment);
    return true;
  }

  #cached(key: number): DataView | undefined {
    const data = this.#pages.get(key);
    if (data !== undefined) {
      this.#pages.delete(key);
      this.#pages.set(key, data);
    }
    return data;
  }

  #keep(key: number, data: DataView): void {
    this.#pages.delete(key);
    this.#pages.set(key, data);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= this.#limits.indexPagesMax) break;
      this.#pages.delete(oldest);
    }
  }

  async #read<T>(path: string, work: (file: DiskFile) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#pool.use(path, work);
    } catch (error) {
      if (isMissing(error) || isUnreadable(error)) return undefined;
      throw error;
    }
  }
}

function keyOf(segment: SealedSegment, page: number): number {
  return segment.sequence * PAGE_KEY_SPAN + page;
}

function viewOf(page: Uint8Array): DataView {
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}
