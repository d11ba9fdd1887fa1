/**
 * Verifies a data folder that no server uses: every file of the log is read from end to end, and those that name each other are
 * there; so is the image, which a node can do without. Nothing is changed, nor made good: that is a running node's work.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { IMAGE_FOLDER, LOG_ID } from "../../../log-server/folder-layout.ts";
import { DirectoryLock } from "../../../log-server/log/disk/directory-lock.ts";
import { DATA_FILE } from "../../../log-server/log/disk/lmdb-header.ts";
import { whyForbidden } from "../../../log-server/log/disk/unusable.ts";
import { LogLayout } from "../../../log-server/log/log-layout.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { inspectFile } from "../inspect/inspect-file.ts";
import type { Reach } from "../inspect/report.ts";
import { A_FOLDER, type FolderFinding } from "./finding.ts";
import { type ImageReport, readImage, type SealedKnown } from "./image.ts";
import { findingsInSealed, type SealedFinding } from "./sealed-segments.ts";
import { checkSmallFiles, unsupportedVersion } from "./small-files.ts";

export type FolderReport = {
  readonly files: number;
  readonly bytes: number;
  readonly findings: readonly FolderFinding[];
};

const SEGMENT_FILE = /^\d{16}\.(log|compacted|index)$/;
const FIRST_SEGMENT = `${"1".padStart(16, "0")}.log`;
const NOWHERE: Reach = { index: 0, term: 0 };
const SNAPSHOT_FILE = /^\d{16}\.snapshot$/;

/** An error says why it cannot be verified. */
export async function verifyFolder(
  path: string,
  onFile: (file: string, bytes: number) => void,
): Promise<Result<FolderReport, string>> {
  const forbidden = firstForbidden(path);
  if (forbidden !== undefined) return err(forbidden);
  const logs = join(path, "logs");
  if (!existsSync(logs)) return err(`${path} is no data folder: there is no ${logs}`);
  const lock = DirectoryLock.acquire(path);
  if (!lock.ok) return err(`${lock.error.message}; a running node is verified with --url`);
  try {
    const unsupported = await unsupportedVersion(path);
    if (unsupported !== undefined) return err(`${path}: ${unsupported}`);
    const findings: FolderFinding[] = [];
    let files = 0;
    let bytes = 0;
    const log = join(logs, String(LOG_ID));
    const reach = { index: 0, term: 0 };
    const count = (file: string): void => {
      files += 1;
      bytes += statSync(file).size;
      onFile(file, bytes);
    };
    for (const file of filesOf(log, findings)) {
      count(file);
      const found = await inspected(file);
      findings.push(...found.findings);
      reach.index = Math.max(reach.index, found.reach.index);
      reach.term = Math.max(reach.term, found.reach.term);
    }
    const small = await checkSmallFiles(path, reach);
    small.files.forEach(count);
    const told = new Set(findings.map(({ file }) => file));
    findings.push(...small.findings.filter(({ file }) => !told.has(file)));
    const image = join(path, IMAGE_FOLDER, DATA_FILE);
    let known: readonly SealedKnown[] = [];
    if (isFolder(image)) findings.push({ file: image, kind: "damaged", what: A_FOLDER });
    else if (existsSync(image)) {
      count(image);
      const { fault, position = 0, sealed } = await readImage(image);
      if (fault !== undefined)
        findings.push({ file: image, kind: "damaged", what: `${fault}; the next start makes it anew from the log` });
      known = sealed;
      findings.push(...sealedMissing(log, sealed).filter(({ file }) => findings.every((one) => one.file !== file)));
      findings.push(...endMissing(log, reach.index, position));
    }
    return ok({ files, bytes, findings: withSealed(findings, await findingsInSealed(path, blocksIn(log), known)) });
  } finally {
    lock.value.release();
  }
}

/** What may not be read cannot be verified, and is not damaged for that. */
function firstForbidden(path: string): string | undefined {
  if (!isFolder(path)) return undefined;
  for (const { parentPath, name } of readdirSync(path, { recursive: true, withFileTypes: true })) {
    const forbidden = whyForbidden(join(parentPath, name), false);
    if (forbidden !== undefined) return forbidden;
  }
  return undefined;
}

/** The files of a log; what is missing among them is told at once. */
function filesOf(log: string, findings: FolderFinding[]): readonly string[] {
  const segments = join(log, "segments");
  const names = new Set(namesIn(segments).filter((name) => SEGMENT_FILE.test(name)));
  // Segments are sealed in their order: with an index of a later one, an earlier one had its own.
  const sealed = [...names].filter((name) => name.endsWith(".log") && names.has(indexOf(name))).sort();
  const newestSealed = sealed.at(-1) ?? "";
  for (const name of names) {
    if (name.endsWith(".log") && name < newestSealed && !names.has(indexOf(name)))
      findings.push({
        file: join(segments, indexOf(name)),
        kind: "missing",
        what: `it says where things are in ${name}; the next start makes it anew from that`,
      });
    const sequence = name.slice(0, name.indexOf("."));
    const other = name.endsWith(".index") ? [`${sequence}.log`, `${sequence}.compacted`] : [`${sequence}.index`];
    // A segment that was not sealed yet has no index.
    if (name.endsWith(".log") || other.some((one) => names.has(one))) continue;
    findings.push({
      file: join(segments, other[0] as string),
      kind: "missing",
      what: `${name} stands for a segment that is not there`,
    });
  }
  const files = [...names].sort().map((name) => join(segments, name));
  const [snapshots, tails] = (["snapshots", "tails"] as const).map((folder) =>
    namesIn(join(log, folder))
      .filter((name) => SNAPSHOT_FILE.test(name))
      .map((name) => join(log, folder, name)),
  ) as [string[], string[]];
  files.push(...snapshots, ...tails);
  // No entry of the log's beginning goes before a snapshot has what came of it.
  if (snapshots.length === 0 && names.size > 0 && !names.has(FIRST_SEGMENT))
    findings.push({
      file: join(log, "snapshots"),
      kind: "missing",
      what: "the log's first entries are gone, and no snapshot has what came of them",
    });
  return files;
}

function indexOf(segment: string): string {
  return segment.replace(/\.log$/, ".index");
}

/** The segments that have an index. */
function blocksIn(log: string): readonly number[] {
  const names = namesIn(join(log, "segments")).filter((name) => SEGMENT_FILE.test(name) && name.endsWith(".index"));
  return names.map((name) => Number(name.slice(0, name.indexOf("."))));
}

/** What a sealed segment lacks is damage, whatever its file by itself proves; the same place is told once. */
function withSealed(findings: readonly FolderFinding[], sealed: readonly SealedFinding[]): readonly FolderFinding[] {
  const isTold = ({ file, place = 0, end = Number.POSITIVE_INFINITY }: SealedFinding): boolean =>
    findings.some(
      (one) =>
        one.kind === "damaged" &&
        one.file === file &&
        (one.place ?? 0) < end &&
        place < (one.end ?? Number.POSITIVE_INFINITY),
    );
  const more = sealed.filter((one) => !isTold(one)).map((one): FolderFinding => ({ ...one, kind: "damaged" }));
  const isProven = ({ file, kind }: FolderFinding): boolean =>
    kind !== "unproven" || more.every((one) => one.file !== file);
  return [...findings.filter(isProven), ...more];
}

/** Of a sealed segment that has lost both its files only the image's sparse index still tells. */
function sealedMissing(log: string, sealed: ImageReport["sealed"]): readonly FolderFinding[] {
  const layout = new LogLayout(log);
  return sealed
    .flatMap(({ sequence, dataKind }) => [layout.file(sequence, dataKind), layout.file(sequence, "index")])
    .filter((file) => !existsSync(file))
    .map((file) => ({
      file,
      kind: "missing",
      what: "the image knows its segment as sealed, and nothing has dropped it",
    }));
}

/** What is applied was durable: a log that ends before what the image has of it has lost entries. */
function endMissing(log: string, lastIndex: number, imagePosition: number): readonly FolderFinding[] {
  if (imagePosition <= lastIndex) return [];
  const what = `the image has all up to entry ${imagePosition}, and the last one that can be read is ${lastIndex}`;
  return [{ file: new LogLayout(log).segments, kind: "missing", what }];
}

type Inspected = { readonly findings: readonly FolderFinding[]; readonly reach: Reach };

async function inspected(file: string): Promise<Inspected> {
  const report = await inspectFile(file, () => undefined);
  if (!report.ok) return { findings: [{ file, kind: "damaged", what: report.error.message }], reach: NOWHERE };
  const { findings, reach = NOWHERE } = report.value;
  return { findings: findings.map(({ kind, place, end, what }) => ({ file, kind, what, place, end })), reach };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function namesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
