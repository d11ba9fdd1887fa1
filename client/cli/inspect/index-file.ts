/** Inspects the index block of a sealed segment: its pages and their checksums, what it says, and its batches. */
import { hex64 } from "../../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { IndexTables, NO_STREAM, readFacts, readRow, readStream } from "../../../log-server/log/index/index-block.ts";
import {
  PAGE_BYTES,
  pageCountOf,
  pageIsIntact,
  placeOfPage,
  readPage,
} from "../../../log-server/log/index/index-pages.ts";
import { counted, formatBytes, formatTime, type Column } from "../output.ts";
import type { Finding, Report, Row } from "./report.ts";

const COLUMNS: readonly Column[] = [
  { title: "STREAM", align: "right" },
  { title: "OFFSET", align: "right" },
  { title: "RECORDS", align: "right" },
  { title: "PLACE", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "LOG TIME" },
  { title: "ENTRY", align: "right" },
  { title: "HASH" },
];
const NOT_ACCEPTED = "refused";

export async function inspectIndex(file: DiskFile, sequence: number): Promise<Result<Report, string>> {
  const pageCount = pageCountOf(await file.size());
  const pages: (Uint8Array | undefined)[] = [];
  const findings: Finding[] = [];
  for (let page = 0; page < pageCount; page += 1) {
    const place = placeOfPage(page);
    const bytes = await readPage(file, sequence, page, pageCount);
    const raw = new Uint8Array(PAGE_BYTES);
    await file.read(place, raw);
    const what = `page ${page} does not match its checksum, and ${bytes === undefined ? "cannot be rebuilt" : "is rebuilt from its stripe"}`;
    if (!pageIsIntact(raw, sequence, page)) findings.push({ kind: "damaged", place, end: place + PAGE_BYTES, what });
    pages.push(bytes);
  }
  const first = pages[0];
  const facts = first === undefined ? undefined : readFacts(viewOf(first));
  if (facts === undefined) return err("its first page is damaged, or of a version that is not known here");
  const tables = new IndexTables(facts);
  const record = <T>(name: "streams" | "rows", at: number, read: (data: DataView, at: number) => T): T | undefined => {
    const where = tables.locate(name, at);
    const page = pages[where.page];
    return page === undefined ? undefined : read(viewOf(page), where.at);
  };
  const rows: Row[] = [];
  for (let at = 0; at < facts.rowCount; at += 1) {
    const row = record("rows", at, readRow);
    if (row === undefined) continue;
    const { streamId, firstOffset, span, place, length, hash, logTime, position, ordinal } = row;
    const stream = streamId === NO_STREAM ? null : streamId;
    rows.push({
      cells: [
        stream === null ? NOT_ACCEPTED : String(stream),
        ...[firstOffset, span, place, length].map(String),
        formatTime(logTime),
        `${position}.${ordinal}`,
        hex64(hash),
      ],
      json: {
        kind: "batch",
        ...{ stream, firstOffset, records: span, place, bytes: length, hash: hex64(hash), logTime, position, ordinal },
      },
    });
  }
  const streams: unknown[] = [];
  for (let at = 0; at < facts.streamCount; at += 1) {
    const stream = record("streams", at, readStream);
    if (stream !== undefined && stream.streamId !== NO_STREAM) streams.push(stream);
  }
  return ok({
    facts: {
      "kind": "index block",
      "log": String(facts.logId),
      "sequence": String(facts.sequence),
      "entries": `${facts.firstIndex} to ${facts.end.index}`,
      "log time": `to ${formatTime(facts.end.logTime)}`,
      "streams": String(streams.length),
      "batches": `${facts.rowCount}, of which accepted ${formatBytes(facts.dataBytes)}`,
    },
    json: { kind: "index", ...facts, end: { ...facts.end, hash: hex64(facts.end.hash) }, streams },
    columns: COLUMNS,
    rows,
    checked: counted(pageCount, "page"),
    findings,
    reach: facts.end,
  });
}

function viewOf(page: Uint8Array): DataView {
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}
