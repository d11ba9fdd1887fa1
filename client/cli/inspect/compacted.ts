/** Inspects a rewritten segment: the batches that survived of those it replaced, and their checksums. */
import { hex64 } from "../../../src/lib/bytes.ts";
import { ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import {
  BATCH_FRAME_OVERHEAD,
  batchFrameBytes,
  COMPACTED_HEADER_LENGTH,
  readBatchHead,
} from "../../../log-server/log/rewrite/compacted-file.ts";
import { batchIsIntact } from "../../../log-server/log/segments/segment-scan.ts";
import { counted, formatBytes, formatTime, type Column } from "../output.ts";
import type { Finding, Report, Row } from "./report.ts";

const COLUMNS: readonly Column[] = [
  { title: "PLACE", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "STREAM", align: "right" },
  { title: "OFFSET", align: "right" },
  { title: "SPAN", align: "right" },
  { title: "LOG TIME" },
  { title: "ENTRY", align: "right" },
  { title: "CHECKSUM" },
  { title: "IDENTITY" },
];
/** Frames begin at multiples of it. */
const FRAME_STEP = 8;
const HASH_LENGTH = 8;

export async function inspectCompacted(
  file: DiskFile,
  sequence: number,
  logId: number,
  onRead: (bytes: number) => void,
): Promise<Result<Report, string>> {
  const size = await file.size();
  const rows: Row[] = [];
  const findings: Finding[] = [];
  const header = await readAt(file, 0, COMPACTED_HEADER_LENGTH);
  const stored = new DataView(header.buffer).getBigUint64(0, true);
  if (stored !== xxh64(header.subarray(HASH_LENGTH), BigInt(sequence)))
    findings.push({ kind: "damaged", place: 0, end: header.length, what: "the header does not match its checksum" });
  let lostFrom: number | undefined;
  const endLost = (end: number): void => {
    if (lostFrom === undefined) return;
    findings.push({ kind: "damaged", place: lostFrom, end, what: "nothing here can be read as a frame" });
    lostFrom = undefined;
  };
  for (let place = COMPACTED_HEADER_LENGTH; place < size;) {
    const head = readBatchHead(await readAt(file, place, BATCH_FRAME_OVERHEAD), sequence, place);
    if (head === undefined) {
      lostFrom ??= place;
      place += FRAME_STEP;
      continue;
    }
    endLost(place);
    const end = place + batchFrameBytes(head.length);
    const intact = batchIsIntact(await readAt(file, place + BATCH_FRAME_OVERHEAD, head.length), head);
    const { streamId, firstOffset, span, length, logTime, position, ordinal, identity, hash } = head;
    if (!intact) {
      const what = `batch ${ordinal} of entry ${position} does not match its checksum`;
      findings.push({ kind: "damaged", place: place + BATCH_FRAME_OVERHEAD, end, what });
    }
    const numbers = [place, length, streamId, firstOffset, span].map(String);
    const checksum = intact ? "ok" : "DAMAGED";
    rows.push({
      cells: [...numbers, formatTime(logTime), `${position}.${ordinal}`, checksum, hex64(identity)],
      json: {
        ...{ kind: "batch", place, bytes: length, stream: streamId, firstOffset, span, logTime, position, ordinal },
        ...{ identity: hex64(identity), hash: hex64(hash), ok: intact },
      },
    });
    onRead(end - place);
    place = end;
  }
  endLost(size);
  return ok({
    facts: {
      kind: "rewritten segment",
      log: String(logId),
      sequence: String(sequence),
      size: formatBytes(size),
      batches: String(rows.length),
    },
    json: { kind: "compacted", log: logId, sequence, fileBytes: size, batches: rows.length },
    columns: COLUMNS,
    rows,
    checked: `the header and ${counted(rows.length, "batch", "batches")}`,
    findings,
  });
}

/** What the file does not have is zeros. */
async function readAt(file: DiskFile, place: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await file.read(place, bytes);
  return bytes;
}
