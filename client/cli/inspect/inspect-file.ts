/**
 * Finds out what a file of a data folder is, and inspects it. By its content rather than its name, for a copy may be
 * called anything; the name helps where the content is damaged. Opened for reading only, so it is safe while a server runs.
 */
import { basename, dirname, resolve } from "node:path";
import { openRealDisk } from "../../../log-server/log/disk/real-disk.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import { inspectCompacted } from "./compacted.ts";
import { inspectHardState } from "./hard-state.ts";
import { inspectIndex } from "./index-file.ts";
import type { Report } from "./report.ts";
import { inspectSegment } from "./segment.ts";
import { inspectSnapshot } from "./snapshot.ts";

/** `number`: a segment's sequence, a snapshot's position; its checksums are seeded with it. */
type Kind =
  | { readonly kind: "segment" | "compacted" | "index" | "snapshot"; readonly number: number; readonly logId: number }
  | { readonly kind: "hard-state" }
  | { readonly kind: "unused" };

export type InspectFault = { readonly kind: "unreadable" | "unknown" | "damaged"; readonly message: string };

const HEAD_BYTES = 512;
const NAME = /^(\d{16})\.(log|compacted|index|snapshot|damaged)(?:\.new)?$/;
/** The marks of the formats, and where they stand. */
const MARKS = {
  segment: { mark: 0x47534d54, at: 8, log: 16, number: 24 },
  compacted: { mark: 0x43534d54, at: 8, log: 16, number: 24 },
  index: { mark: 0x58494d54, at: 8, log: 16, number: 24 },
  snapshot: { mark: 0x53534d54, at: 16, log: 22, number: 26 },
} as const;
const HARD_STATE = { mark: 0x53484d54, at: 8, secondSlot: 4_096 } as const;

export async function inspectFile(
  path: string,
  onRead: (bytes: number) => void,
): Promise<Result<Report, InspectFault>> {
  const absolute = resolve(path);
  let file: DiskFile;
  try {
    file = await openRealDisk(dirname(absolute)).open(basename(absolute), "read");
  } catch (error) {
    if (error instanceof DiskError) return err({ kind: "unreadable", message: whyUnreadable(error) });
    throw error;
  }
  try {
    const kind = await kindOf(file, basename(absolute));
    if (kind === undefined)
      return err({ kind: "unknown", message: "it is no segment, index block, snapshot or hard state" });
    const report = await inspect(file, kind, onRead);
    return report.ok ? report : err({ kind: "damaged", message: report.error });
  } catch (error) {
    if (error instanceof DiskError) return err({ kind: "unreadable", message: whyUnreadable(error) });
    throw error;
  } finally {
    await file.close();
  }
}

function whyUnreadable({ code, message }: DiskError): string {
  if (code === "not-found") return "there is no such file";
  // What a disk says when a folder is read.
  if (code === "exists") return "it is a folder; name the files in it";
  return message;
}

async function inspect(file: DiskFile, kind: Kind, onRead: (bytes: number) => void): Promise<Result<Report, string>> {
  switch (kind.kind) {
    case "segment":
      return inspectSegment(file, kind.number, kind.logId, onRead);
    case "compacted":
      return inspectCompacted(file, kind.number, kind.logId, onRead);
    case "index":
      return inspectIndex(file, kind.number);
    case "snapshot":
      return inspectSnapshot(file, kind.number, kind.logId);
    case "hard-state":
      return ok(await inspectHardState(file));
    case "unused":
      return ok({
        facts: { kind: "spare segment" },
        json: { kind: "spare" },
        columns: [],
        rows: [],
        checked: "nothing is in it",
        findings: [],
      });
  }
}

async function kindOf(file: DiskFile, name: string): Promise<Kind | undefined> {
  const head = new Uint8Array(HEAD_BYTES);
  const count = await file.read(0, head);
  const data = new DataView(head.buffer);
  for (const kind of ["segment", "compacted", "index", "snapshot"] as const) {
    const { mark, at, log, number } = MARKS[kind];
    if (data.getUint32(at, true) !== mark) continue;
    const found = Number(data.getBigUint64(number, true));
    if (Number.isSafeInteger(found)) return { kind, number: found, logId: data.getUint32(log, true) };
  }
  const second = new Uint8Array(HARD_STATE.at + 4);
  await file.read(HARD_STATE.secondSlot, second);
  const marks = [data.getUint32(HARD_STATE.at, true), new DataView(second.buffer).getUint32(HARD_STATE.at, true)];
  if (marks.includes(HARD_STATE.mark)) return { kind: "hard-state" };
  const match = NAME.exec(name);
  if (match === null || count === 0) return undefined;
  const named = match[2];
  if (named === "log" && head.every((byte) => byte === 0) && second.every((byte) => byte === 0))
    return { kind: "unused" };
  const kind = named === "log" ? "segment" : named === "compacted" || named === "index" ? named : "snapshot";
  // A damaged header: log 0 is the only one there is.
  return { kind, number: Number(match[1]), logId: 0 };
}
