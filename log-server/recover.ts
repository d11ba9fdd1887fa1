/**
 * `tidemark cluster recover`: a node's folder, while no server uses it, made that of a new cluster of one. What a recovery is
 * stands in `node/cluster/recovery.ts`; here it gets a real folder, and whoever asks for it is told first what may be lost.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { err, ok, type Result } from "../src/lib/result.ts";
import { IMAGE_FOLDER, LOG_ID } from "./folder-layout.ts";
import { type DataDirectory, openDataDirectory } from "./log/data-directory.ts";
import { openLmdbKv } from "./log/disk/lmdb-kv.ts";
import { whyForbidden } from "./log/disk/unusable.ts";
import { LOG_LIMITS } from "./log/limits.ts";
import { IDENTITY_FILE, type NodeIdentity } from "./log/node-identity.ts";
import {
  finishRecovery,
  type RecoveryOptions,
  startRecovery,
  type Survey,
  surveyRecovery,
} from "./node/cluster/recovery.ts";
import { NODE_LIMITS } from "./node/limits.ts";
import { NO_OBSERVER, type NodeObserver } from "./node/observer.ts";
import { STREAMS_LIMITS } from "./streams/limits.ts";
import { SYSTEM_CLOCK, SYSTEM_ENTROPY, SYSTEM_ZSTD } from "./system.ts";

export type RecoveryError = { readonly code: string; readonly message: string };

/** A folder that is held for it. */
export type OpenRecovery = {
  /** Undefined: it was decided already, and a crash cut it short. */
  readonly survey: Survey | undefined;
  /** From here on there is no way back. May be done again where it fails. */
  readonly carryOut: () => Promise<Result<NodeIdentity, RecoveryError>>;
  readonly close: () => void;
};

export async function openRecovery(path: string): Promise<Result<OpenRecovery, RecoveryError>> {
  const forbidden = whyForbidden(path, true);
  if (forbidden !== undefined) return err({ code: "unusable", message: forbidden });
  if (!existsSync(join(path, IDENTITY_FILE)))
    return err({ code: "not-found", message: `${path} is no data folder: it has no ${IDENTITY_FILE}` });
  const opened = await openDataDirectory({ path, entropy: SYSTEM_ENTROPY });
  if (!opened.ok) return err({ code: opened.error.kind, message: opened.error.message });
  const folder = opened.value;
  try {
    const found = await openFolder(folder);
    if (!found.ok) folder.close();
    return found;
  } catch (error) {
    folder.close();
    throw error;
  }
}

async function openFolder(folder: DataDirectory): Promise<Result<OpenRecovery, RecoveryError>> {
  const { close, path } = folder;
  if (folder.since?.kind === "recovering")
    return ok({ survey: undefined, carryOut: () => finishInFolder(folder, NO_OBSERVER), close });
  const found = await withImage(folder, NO_OBSERVER, (options) => surveyRecovery(options, folder));
  if (!found.ok) return err({ code: found.error.kind, message: `${path}: ${found.error.message}` });
  const { member } = found.value;
  const carryOut: OpenRecovery["carryOut"] = async () => {
    const begun = await startRecovery({ disk: folder.disk, entropy: SYSTEM_ENTROPY }, folder, member);
    return finishInFolder({ ...folder, ...begun }, NO_OBSERVER);
  };
  return ok({ survey: found.value, carryOut, close });
}

/** What a crash has cut short; a server does it before it starts. */
export async function finishInFolder(
  folder: DataDirectory,
  observer: NodeObserver,
): Promise<Result<NodeIdentity, RecoveryError>> {
  const finished = await withImage(folder, observer, (options) => finishRecovery(options, folder));
  if (finished.ok) return finished;
  return err({ code: finished.error.kind, message: `${folder.path}: ${finished.error.message}` });
}

async function withImage<T>(
  { path, disk }: DataDirectory,
  observer: NodeObserver,
  work: (options: RecoveryOptions) => Promise<T>,
): Promise<T> {
  const kv = openLmdbKv(join(path, IMAGE_FOLDER), (reason) => observer.event("image-discarded", { reason }));
  try {
    return await work({
      disk,
      kv,
      clock: SYSTEM_CLOCK,
      entropy: SYSTEM_ENTROPY,
      zstd: SYSTEM_ZSTD,
      logId: LOG_ID,
      // What it writes is a few hundred bytes, and has room where nothing else has.
      limits: { node: { ...NODE_LIMITS, lowWaterBytes: 0 }, log: LOG_LIMITS, streams: STREAMS_LIMITS },
      observer,
    });
  } finally {
    await kv.close();
  }
}
