/**
 * Checks the small files beside the log: whose the folder is, what its node voted, which segment is the newest, whether its state was
 * contradicted. Each is held against the others and against how far the log goes, for what is whole may be old, or another node's.
 * What nothing else on the disk speaks against is believed, as a start does.
 */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { LOG_ID } from "../../../log-server/folder-layout.ts";
import { openRealDisk } from "../../../log-server/log/disk/real-disk.ts";
import { objectionTo } from "../../../log-server/log/hard-state-check.ts";
import { newestSlot, readSlot } from "../../../log-server/log/hard-state.ts";
import { LogLayout } from "../../../log-server/log/log-layout.ts";
import { IDENTITY_FILE, type NodeIdentity, readIdentity } from "../../../log-server/log/node-identity.ts";
import {
  NEWEST_SLOT_LENGTH,
  NEWEST_SLOT_SPACING,
  NEWEST_SLOTS,
  readNewest,
  readNewestSlot,
} from "../../../log-server/log/segments/newest-segment.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import { DiskError, type DiskFile } from "../../../src/ports/disk.ts";
import { inspectHardState } from "../inspect/hard-state.ts";
import type { Reach } from "../inspect/report.ts";
import { A_FOLDER, type FolderFinding } from "./finding.ts";

const IDENTITY_MISSING = "it says whose the folder is: without it the node does not start";
const NEWEST_MISSING = "whether the newest segment is there is not known; the next start believes what it finds";
const NEWEST_DAMAGED = "which segment is the newest is not known; the next start believes what it finds";
const NEWEST_SEGMENT_MISSING = "it is the newest segment, and what it held is not known";
const HARD_STATE_MISSING = "without it the node does not start: it is as good as wiped";
const DISTRUSTED = "a majority has contradicted the state made of this log: it has to come from the others";

export type SmallFiles = {
  /** Those that are there. */
  readonly files: readonly string[];
  readonly findings: readonly FolderFinding[];
};

/** `data`: the node's folder. `reach`: how far its log goes, at least; before its first entry nothing has to be there. */
export async function checkSmallFiles(data: string, reach: Reach): Promise<SmallFiles> {
  const log = join(data, "logs", String(LOG_ID));
  const { newest, distrusted } = new LogLayout(log);
  const hardState = join(log, "hard-state");
  const files = [join(data, IDENTITY_FILE), newest, hardState, distrusted].filter((file) => existsSync(file));
  const identity = await readIdentityOf(data);
  const whose = identity.ok ? identity.value : undefined;
  const findings = [
    ...(identity.ok ? [] : [identity.error]),
    ...(await inFile(newest, reach.index > 0 ? NEWEST_MISSING : undefined, (file) => inNewest(log, newest, file))),
    ...(await inFile(hardState, reach.index > 0 ? HARD_STATE_MISSING : undefined, (file) =>
      inHardState(hardState, file, whose, reach.term),
    )),
  ];
  if (files.includes(distrusted)) findings.push({ file: distrusted, kind: "damaged", what: DISTRUSTED });
  return { files, findings };
}

/** Another version may have written everything otherwise: nothing of it can be verified. */
export async function unsupportedVersion(data: string): Promise<string | undefined> {
  const read = await readIdentity(openRealDisk(data), undefined).catch(() => undefined);
  return read?.ok === false && read.error.kind === "unsupported-version" ? read.error.message : undefined;
}

async function readIdentityOf(data: string): Promise<Result<NodeIdentity, FolderFinding>> {
  const file = join(data, IDENTITY_FILE);
  try {
    const read = await readIdentity(openRealDisk(data), undefined);
    if (!read.ok) return err({ file, kind: "damaged", what: read.error.message });
    return read.value === undefined ? err({ file, kind: "missing", what: IDENTITY_MISSING }) : ok(read.value);
  } catch (error) {
    return err({ file, kind: "damaged", what: whyUnreadable(error) });
  }
}

/** `missing`: what it means that there is no such file; undefined: nothing. */
async function inFile(
  path: string,
  missing: string | undefined,
  check: (file: DiskFile) => Promise<readonly FolderFinding[]>,
): Promise<readonly FolderFinding[]> {
  if (!existsSync(path)) return missing === undefined ? [] : [{ file: path, kind: "missing", what: missing }];
  try {
    const file = await openRealDisk(dirname(path)).open(basename(path), "read");
    try {
      return await check(file);
    } finally {
      await file.close();
    }
  } catch (error) {
    return [{ file: path, kind: "damaged", what: whyUnreadable(error) }];
  }
}

function whyUnreadable(error: unknown): string {
  if (!(error instanceof DiskError)) throw error;
  // What a disk says when a folder is read.
  return error.code === "exists" ? A_FOLDER : error.message;
}

async function inNewest(log: string, path: string, file: DiskFile): Promise<readonly FolderFinding[]> {
  const [newest] = await readNewest(file);
  if (newest === undefined) return [{ file: path, kind: "damaged", what: NEWEST_DAMAGED }];
  const findings: FolderFinding[] = [];
  for (const slot of NEWEST_SLOTS) {
    if ((await readNewestSlot(file, slot)) !== undefined) continue;
    const place = slot * NEWEST_SLOT_SPACING;
    const what = `slot ${slot} does not match its checksum`;
    findings.push({ file: path, kind: "damaged", what, place, end: place + NEWEST_SLOT_LENGTH });
  }
  const paths = (["log", "compacted", "index"] as const).map((kind) => new LogLayout(log).file(newest.sequence, kind));
  if (newest.sequence > 0 && !paths.some((one) => existsSync(one)))
    findings.push({ file: paths[0] as string, kind: "missing", what: NEWEST_SEGMENT_MISSING });
  return findings;
}

async function inHardState(
  path: string,
  file: DiskFile,
  identity: NodeIdentity | undefined,
  lastTerm: number,
): Promise<readonly FolderFinding[]> {
  const { findings } = await inspectHardState(file);
  const own = findings.map(({ kind, place, end, what }): FolderFinding => ({ file: path, kind, what, place, end }));
  const newest = newestSlot(await readSlot(file, 0), await readSlot(file, 1));
  if (newest.kind !== "intact") return own;
  // Whose it is to be cannot be known without the folder's identity.
  const { nodeId, clusterId } = newest.state;
  const objection = objectionTo(newest.state, identity ?? { diskId: nodeId, clusterId }, LOG_ID, lastTerm);
  if (objection === undefined) return own;
  return [...own, { file: path, kind: "damaged", what: `it ${objection.message}; the node does not start` }];
}
