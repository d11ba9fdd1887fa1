/**
 * Inspects a segment's file: every frame, its checksums and those of its batches, the chain of entries, and the commands
 * that the entries carry.
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { hex64 } from "../../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { DiskFile } from "../../../src/ports/disk.ts";
import { decodeCommands } from "../../../src/wire/command-codec.ts";
import type { Command } from "../../../src/wire/command.ts";
import { DIRECTORY_ROW_LENGTH, ENVELOPE_LENGTH } from "../../../log-server/log/entries/entry-codec.ts";
import { FRAME_HEADER_LENGTH } from "../../../log-server/log/entries/frame.ts";
import { SEGMENT_HEADER_LENGTH } from "../../../log-server/log/segments/segment-header.ts";
import { footerOf } from "../../../log-server/log/segments/segment-judge.ts";
import { type Piece, scanSegment, type SegmentScan } from "../../../log-server/log/segments/segment-scan.ts";
import { counted, formatBytes, formatTime, type Column } from "../output.ts";
import type { Finding, Reach, Report, Row } from "./report.ts";

type EntryPiece = Extract<Piece, { readonly kind: "entry" }>;

const COLUMNS: readonly Column[] = [
  { title: "PLACE", align: "right" },
  { title: "BYTES", align: "right" },
  { title: "FRAME" },
  { title: "INDEX", align: "right" },
  { title: "TERM", align: "right" },
  { title: "LOG TIME" },
  { title: "BATCHES", align: "right" },
  { title: "RECORDS", align: "right" },
  { title: "CHECKSUMS" },
  { title: "WHAT" },
];
/** Commands of one entry that are named in a row; JSON has them all. */
const SHOWN_COMMANDS = 3;

export async function inspectSegment(
  file: DiskFile,
  sequence: number,
  logId: number,
  onRead: (bytes: number) => void,
): Promise<Result<Report, string>> {
  const scanned = await scanSegment(file, sequence, logId, onRead);
  if (!scanned.ok) return err(scanned.error.message);
  const scan = scanned.value;
  const entries = scan.pieces.filter((piece) => piece.kind === "entry");
  const rows: Row[] = [];
  for (const piece of scan.pieces) rows.push(await rowOf(file, piece));
  const batches = entries.reduce((sum, { head }) => sum + head.batches.length, 0);
  return ok({
    ...describe(scan, entries, logId),
    columns: COLUMNS,
    rows,
    checked: `the header, ${counted(scan.pieces.length, "frame")} and ${counted(batches, "batch", "batches")}`,
    findings: findingsOf(scan),
    reach: reachOf(scan),
  });
}

/** What was cut off since counts, too: it was written. */
function reachOf({ header, pieces }: SegmentScan): Reach {
  const reach = { index: header?.previous.index ?? 0, term: header?.previous.term ?? 0 };
  for (const piece of pieces) {
    if (piece.kind === "headless" || piece.kind === "damaged") continue;
    const { index, term } = piece.kind === "entry" ? piece.head : piece.closing.last;
    reach.index = Math.max(reach.index, index);
    reach.term = Math.max(reach.term, term);
  }
  return reach;
}

function describe(scan: SegmentScan, entries: readonly EntryPiece[], logId: number): Pick<Report, "facts" | "json"> {
  const { header, sequence, pieces, dirtyEnd, fileBytes } = scan;
  const batches = entries.flatMap(({ head }) => head.batches);
  const records = batches.reduce((sum, { span }) => sum + span, 0);
  const batchBytes = batches.reduce((sum, { length }) => sum + length, 0);
  const [first, last] = [entries[0]?.head, entries.at(-1)?.head];
  const closing = pieces.findLast((piece) => piece.kind === "mark" || piece.kind === "footer");
  const state = closing === undefined ? "open" : closing.kind === "footer" ? "closed" : "stopped cleanly";
  const previous = header?.previous;
  return {
    facts: {
      "kind": "segment",
      "log": String(logId),
      "sequence": String(sequence),
      "size": `${formatBytes(fileBytes)}, of which ${formatBytes(dirtyEnd)} are written`,
      "state": state,
      "entries": first === undefined ? "none" : `${entries.length} (${first.index} to ${last?.index})`,
      "terms": first === undefined ? undefined : `${first.term} to ${last?.term}`,
      "log time": first === undefined ? undefined : `${formatTime(first.logTime)} to ${formatTime(last?.logTime ?? 0)}`,
      "batches": `${batches.length} with ${counted(records, "record")}, ${formatBytes(batchBytes)}`,
      "behind":
        previous === undefined
          ? "not known: the header is damaged"
          : `entry ${previous.index} of term ${previous.term}`,
    },
    json: {
      kind: "segment",
      log: logId,
      sequence,
      state,
      fileBytes,
      writtenBytes: dirtyEnd,
      firstIndex: first?.index ?? null,
      lastIndex: last?.index ?? null,
      entries: entries.length,
      batches: batches.length,
      records,
      batchBytes,
      previous: previous === undefined ? null : { ...previous, hash: hex64(previous.hash) },
    },
  };
}

async function rowOf(file: DiskFile, piece: Piece): Promise<Row> {
  const { place, end } = piece;
  const at = [String(place), String(end - place)];
  const json = { kind: piece.kind as string, place, bytes: end - place };
  switch (piece.kind) {
    case "entry": {
      const { head, frame, damagedBatches } = piece;
      const records = head.batches.reduce((sum, { span }) => sum + span, 0);
      const commands = head.kind === "commands" ? await commandsOf(file, piece) : undefined;
      const numbers = [head.index, head.term, formatTime(head.logTime), head.batches.length, records].map(String);
      const checksums = damagedBatches.length === 0 ? "ok" : "DAMAGED";
      return {
        cells: [...at, "entry", ...numbers, checksums, commands === undefined ? head.kind : summaryOf(commands)],
        json: {
          ...json,
          entry: head.kind,
          index: head.index,
          term: head.term,
          logTime: head.logTime,
          hash: hex64(frame.entryHash),
          previousHash: hex64(head.previousHash),
          syncedUpTo: frame.syncedUpTo,
          batches: head.batches.map(({ hash, length, span }, ordinal) => ({
            hash: hex64(hash),
            bytes: length,
            records: span,
            ok: !damagedBatches.includes(ordinal),
          })),
          ...(commands !== undefined && { commands }),
        },
      };
    }
    case "mark":
    case "footer": {
      const { last, nextSequence, endPlace } = piece.closing;
      const what = piece.kind === "mark" ? "all before is synced" : `goes on in segment ${nextSequence}`;
      const cells = [...at, piece.kind, last.index, last.term, formatTime(last.logTime), "", "", "ok", what].map(
        String,
      );
      return { cells, json: { ...json, last: { ...last, hash: hex64(last.hash) }, nextSequence, endPlace } };
    }
    case "headless": {
      const hash = hex64(piece.frame.entryHash);
      return { cells: [...at, "entry", "", "", "", "", "", "DAMAGED", "its head"], json: { ...json, hash } };
    }
    case "damaged":
      return { cells: [...at, "?", "", "", "", "", "", "DAMAGED", "no frame can be read"], json };
    default:
      return unreachable(piece);
  }
}

type Carried = { readonly kind: string; readonly streams: readonly string[] };

/** Undefined: they cannot be decoded, though their checksum matches. */
async function commandsOf(file: DiskFile, { place, frame, head }: EntryPiece): Promise<Carried[] | undefined> {
  const start = place + FRAME_HEADER_LENGTH + ENVELOPE_LENGTH;
  const bytes = new Uint8Array(frame.headLength - ENVELOPE_LENGTH - head.batches.length * DIRECTORY_ROW_LENGTH);
  await file.read(start, bytes);
  const decoded = decodeCommands(bytes, head.batches);
  return decoded.ok ? decoded.value.map((command) => ({ kind: command.kind, streams: streamsOf(command) })) : undefined;
}

function streamsOf(command: Command): string[] {
  if (command.kind === "transaction") return [...new Set(command.operations.flatMap(streamsOf))];
  if ("stream" in command) return [command.stream];
  return "streams" in command ? [...command.streams] : [];
}

function summaryOf(commands: readonly Carried[]): string {
  const shown = commands.slice(0, SHOWN_COMMANDS).map(({ kind, streams }) => [kind, ...streams].join(" "));
  const more = commands.length - shown.length;
  return [...shown, ...(more > 0 ? [`${more} more`] : [])].join(", ");
}

/** Damage before the last place that is known to have been synced is damage; behind it, nothing proves that it was written. */
function findingsOf(scan: SegmentScan): Finding[] {
  const findings: Finding[] = [];
  const syncedUpTo = Math.max(
    0,
    ...scan.pieces.map((piece) =>
      piece.kind === "entry" || piece.kind === "headless"
        ? piece.frame.syncedUpTo
        : piece.kind === "damaged"
          ? 0
          : piece.place,
    ),
  );
  const found = (place: number, end: number, what: string): void => {
    findings.push({ kind: place < syncedUpTo ? "damaged" : "unproven", place, end, what });
  };
  if (scan.header === undefined)
    findings.push({
      kind: "damaged",
      place: 0,
      end: SEGMENT_HEADER_LENGTH,
      what: "the header does not match its checksum",
    });
  let previous = scan.header?.previous;
  let hole = scan.header === undefined;
  const cut = footerOf(scan)?.endPlace ?? Number.POSITIVE_INFINITY;
  for (const [at, piece] of scan.pieces.entries()) {
    const { place, end } = piece;
    // What was cut off is never read again, whatever is left of it.
    if (place >= cut) break;
    switch (piece.kind) {
      case "entry": {
        const { head, frame, damagedBatches } = piece;
        let start = place + FRAME_HEADER_LENGTH + frame.headLength;
        head.batches.forEach(({ length }, ordinal) => {
          if (damagedBatches.includes(ordinal))
            found(start, start + length, `batch ${ordinal} of entry ${head.index} does not match its checksum`);
          start += length;
        });
        // After a conflict an entry may take an older one's index: then the chain begins again there.
        const follows = previous !== undefined && head.index === previous.index + 1;
        if (follows && !hole && head.previousHash !== previous?.hash)
          found(place, end, `entry ${head.index} does not follow the one before it: their hashes are no chain`);
        previous = { index: head.index, term: head.term, hash: frame.entryHash, logTime: head.logTime };
        hole = false;
        break;
      }
      case "mark":
      case "footer":
        previous = piece.closing.last;
        break;
      case "headless":
        found(place, end, `the head of an entry does not match its checksum (${hex64(piece.frame.entryHash)})`);
        hole = true;
        break;
      case "damaged":
        if (isGap(piece, scan.pieces[at + 1])) break;
        found(place, end, "nothing here can be read as a frame");
        hole = true;
        break;
      default:
        unreachable(piece);
    }
  }
  return findings;
}

/** A mark or footer begins at a sector of its own: what is free before it is no damage. */
function isGap(piece: Piece, next: Piece | undefined): boolean {
  return (next?.kind === "mark" || next?.kind === "footer") && next.closing.dataEnd <= piece.place;
}
