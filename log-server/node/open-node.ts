/**
 * Brings a node up from what its disk holds: hard state, log, image or snapshot, state machine; then the loop. Which
 * of these is trusted is decided here: the log always; the image if it verifies and is not ahead of the log; else the
 * newest snapshot; else nothing. What the log holds after that is applied again.
 */
import { err, ok, type Result } from "../../src/lib/result.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import type { Kv } from "../../src/ports/kv.ts";
import type { Zstd } from "../../src/ports/zstd.ts";
import type { Since } from "../log/node-identity.ts";
import { isDistrusted } from "../log/distrust.ts";
import { HardStateFile } from "../log/hard-state.ts";
import { objectionTo } from "../log/hard-state-check.ts";
import { Incoming } from "../log/snapshots/incoming.ts";
import type { LogLimits } from "../log/limits.ts";
import { LogLayout } from "../log/log-layout.ts";
import { ownSource } from "../log/repair/own-source.ts";
import { SegmentedLog } from "../log/segmented-log.ts";
import { shipmentBytes } from "../log/snapshots/shipment.ts";
import { FEATURE_LEVEL_NEWEST, unsupportedLevel } from "../streams/feature-level.ts";
import type { StreamsLimits } from "../streams/limits.ts";
import { StreamsMachine } from "../streams/machine.ts";
import type { NodeLimits } from "./limits.ts";
import { LogNode } from "./log-node.ts";
import type { ClusterParts, NodeParts } from "./node-parts.ts";
import type { NodeObserver } from "./observer.ts";
import { pendingConfigurations } from "./consensus/pending-configurations.ts";
import { doubtOf } from "./consensus/raft-options.ts";

export type OpenNodeOptions = {
  readonly disk: Disk;
  readonly kv: Kv;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly zstd: Zstd | undefined;
  readonly logId: number;
  readonly clusterId: string;
  readonly nodeName: string;
  /** The random id of this data folder: a known name with another disk is another node. */
  readonly diskId: string;
  readonly limits: { readonly node: NodeLimits; readonly log: LogLimits; readonly streams: StreamsLimits };
  readonly observer: NodeObserver;
  /** Without it the node is the only voter. */
  readonly cluster?: ClusterParts;
  /** See `NodeIdentity`. */
  readonly since?: Since;
  readonly onProgress?: (phase: string, done: number, total: number) => void;
};

/** Why the node cannot start. Nothing on the disk was changed to hide it. */
export type OpenNodeError = { readonly kind: string; readonly message: string };

/** The node, not started yet. */
export async function openNode(options: OpenNodeOptions): Promise<Result<LogNode, OpenNodeError>> {
  const parts = await openParts(options);
  return parts.ok ? ok(new LogNode(parts.value)) : parts;
}

/** What a node is made of. Whoever makes none of it closes log and hard state. */
export async function openParts(options: OpenNodeOptions): Promise<Result<NodeParts, OpenNodeError>> {
  const directory = `logs/${options.logId}`;
  await options.disk.createDirectory(directory);
  await options.disk.syncDirectory("logs");
  await options.disk.syncDirectory("");
  const opened = await SegmentedLog.open({
    disk: options.disk,
    kv: options.kv,
    directory,
    logId: options.logId,
    limits: options.limits.log,
    soleVoter: options.cluster === undefined,
    zstd: options.zstd,
    onProgress: (progress) => options.onProgress?.(progress.phase, progress.done, progress.total),
  });
  if (!opened.ok) return opened;
  const { log, report, installed, staleImage } = opened.value;
  if (installed !== undefined) {
    const { position } = installed;
    options.observer.event("snapshot-installed", {
      position,
      end: installed.end.index,
      bytes: shipmentBytes(installed),
    });
  }
  if (staleImage !== undefined) options.observer.event("image-discarded", { reason: "stale", detail: staleImage });
  options.observer.event("log-recovered", report);
  if (report.discarded !== undefined) options.observer.event("log-cut", report.discarded);

  const hardState = await openHardState(options, `${directory}/hard-state`, log);
  if (!hardState.ok) {
    await log.close();
    return hardState;
  }

  // Before anything changes what it is known from.
  const doubt = options.cluster && doubtOf(log, hardState.value.state);
  if (doubt !== undefined) options.observer.event("log-end-ambiguous", doubt);
  if (doubt !== undefined || hardState.value.state.doubt !== undefined) await hardState.value.writeDoubt(doubt);

  // What is applied was durable, and no crash takes it. Who is alone can only say so, and goes on with what there is.
  const applied = log.imagePosition() ?? 0;
  if (options.cluster === undefined && applied > log.lastIndex)
    options.observer.event("log-end-lost", { firstIndex: log.lastIndex + 1, lastIndex: applied });

  const restored = await restoreMachine(options, log);
  if (!restored.ok) return restored;
  const { machine, imagePosition, snapshotPosition, bereft } = restored.value;
  if (machine.featureLevel > FEATURE_LEVEL_NEWEST) {
    await hardState.value.close();
    await log.close();
    return err({ kind: "unsupported-version", message: unsupportedLevel(machine.featureLevel) });
  }
  // Alone, a node has none.
  const { configurations, hidden } =
    options.cluster === undefined || bereft !== undefined
      ? { configurations: [], hidden: bereft !== undefined }
      : await pendingConfigurations(log, machine.position, options.limits.node.replayBytesMax);
  const { disk, diskId, clusterId, nodeName, logId, clock, entropy, zstd, observer, cluster } = options;
  const incoming = await Incoming.open({
    disk,
    layout: new LogLayout(directory),
    logId,
    limits: options.limits.log,
    own: ownSource(log, options.limits.log),
  });
  // Entries came after all.
  const reached = incoming.shipment !== undefined && incoming.shipment.end.index <= log.lastIndex;
  if (reached && bereft === undefined) await incoming.discard();
  return ok({
    clusterId,
    nodeName,
    logId,
    diskId,
    disk,
    log,
    incoming,
    hardState: hardState.value,
    machine,
    clock,
    entropy,
    zstd,
    limits: options.limits.node,
    observer,
    imagePosition,
    snapshotPosition,
    cluster,
    since: options.since,
    configurations,
    hidden,
    installed: installed !== undefined,
    bereft,
  });
}

async function openHardState(
  options: OpenNodeOptions,
  path: string,
  log: SegmentedLog,
): Promise<Result<HardStateFile, OpenNodeError>> {
  const { disk, clusterId, diskId, logId } = options;
  const opened = await HardStateFile.open(disk, path);
  if (opened.ok) {
    // Entries that nobody may have acknowledged were written behind a hard state of their term, too.
    const lastTerm = Math.max(log.lastTerm, log.ambiguous?.toTerm ?? 0);
    const objection = objectionTo(opened.value.state, options, logId, lastTerm);
    if (objection === undefined) return opened;
    await opened.value.close();
    return err({ kind: objection.kind, message: `${path} ${objection.message}` });
  }
  switch (opened.error.kind) {
    case "missing":
      // With a log there was a term and a vote: a node that lost them must not vote again under its name (P33).
      if (log.lastIndex > 0)
        return err({ kind: "hard-state-missing", message: `${path} is missing, but the log is not empty` });
      return ok(await HardStateFile.create(disk, path, { term: 0, vote: undefined, logId, clusterId, nodeId: diskId }));
    case "wiped":
      return err({ kind: "hard-state-damaged", message: opened.error.message });
    case "unsupported-version":
      return err({
        kind: "unsupported-version",
        message: `${path} has format version ${opened.error.found}; this version reads ${opened.error.supported}`,
      });
  }
}

type Restored = Pick<NodeParts, "machine" | "imagePosition" | "snapshotPosition" | "bereft">;

async function restoreMachine(options: OpenNodeOptions, log: SegmentedLog): Promise<Result<Restored, OpenNodeError>> {
  const limits = options.limits.streams;
  options.onProgress?.("restore", 0, 1);
  if (await isDistrusted(options.disk, new LogLayout(`logs/${options.logId}`)))
    return bereave(options, log, {
      kind: "state-distrusted",
      message: "a majority has contradicted the state of this node: it has to come from the others",
    });
  const snapshot = await log.newestSnapshot();
  const { damaged } = snapshot.ok ? snapshot.value : snapshot.error;
  for (const one of damaged) options.observer.event("snapshot-damaged", one);
  if (!snapshot.ok) options.observer.event("snapshot-gap", { detail: snapshot.error.message });
  const found = snapshot.ok ? snapshot.value.snapshot : undefined;
  const snapshotPosition = found?.position ?? 0;

  const image = await log.loadImage();
  if (image.ok) {
    const machine = StreamsMachine.restore(image.value.stateRows, limits);
    if (machine.ok && machine.value.digest() === image.value.digest) {
      return ok({ machine: machine.value, imagePosition: image.value.position, snapshotPosition, bereft: undefined });
    }
    options.observer.event("image-discarded", { reason: machine.ok ? "digest-mismatch" : machine.error });
  } else if (image.error.kind !== "missing") {
    options.observer.event("image-discarded", { reason: image.error.kind, detail: image.error.message });
  }
  // The image alone reached over what no intact snapshot does: what was trimmed cannot be applied again.
  if (!snapshot.ok) return bereave(options, log, { kind: "snapshot-gap", message: snapshot.error.message });
  await log.discardImage();
  const machine = StreamsMachine.restore(found?.rows ?? [], limits);
  if (!machine.ok) return err({ kind: "snapshot-damaged", message: machine.error });
  options.onProgress?.("restore", 1, 1);
  return ok({ machine: machine.value, imagePosition: 0, snapshotPosition, bereft: undefined });
}

/** Nothing is known here of what was applied. The others know; a node that is alone stays down. */
async function bereave(
  options: OpenNodeOptions,
  log: SegmentedLog,
  why: OpenNodeError,
): Promise<Result<Restored, OpenNodeError>> {
  const { cluster, nodeName, observer, limits } = options;
  const hasOthers =
    cluster !== undefined && (cluster.voters.length === 0 || cluster.voters.some((one) => one !== nodeName));
  if (!hasOthers) return err(why);
  observer.event("state-lost", why);
  await log.discardImage();
  const machine = new StreamsMachine(limits.streams);
  return ok({ machine, imagePosition: 0, snapshotPosition: 0, bereft: { kind: "entry", message: why.message } });
}
