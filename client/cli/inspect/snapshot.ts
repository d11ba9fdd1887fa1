/** Inspects a snapshot: all of its blocks, its footer's counts, and the digest of its rows. */
import { hex64 } from "../../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { readSnapshotFile } from "../../../log-server/log/snapshots/snapshot-file.ts";
import { formatBytes, formatTime } from "../output.ts";
import type { Report } from "./report.ts";

export async function inspectSnapshot(
  file: DiskFile,
  position: number,
  logId: number,
): Promise<Result<Report, string>> {
  const read = await readSnapshotFile(file, { logId, position }, { keepRows: true });
  if (!read.ok) return err(read.error);
  const { meta, rows } = read.value;
  const bytes = await file.size();
  const rowCount = Iterator.from(rows).reduce((count) => count + 1, 0);
  return ok({
    facts: {
      "kind": "snapshot",
      "log": String(logId),
      "position": String(position),
      "term": String(meta.term),
      "log time": formatTime(meta.logTime),
      "rows": String(rowCount),
      "size": formatBytes(bytes),
      "digest": hex64(meta.digest),
    },
    json: {
      kind: "snapshot",
      log: logId,
      position,
      term: meta.term,
      hash: hex64(meta.hash),
      logTime: meta.logTime,
      digest: hex64(meta.digest),
      rows: rowCount,
      fileBytes: bytes,
    },
    columns: [],
    rows: [],
    checked: "every block, the footer and the digest of the rows",
    findings: [],
    reach: { index: position, term: meta.term },
  });
}
