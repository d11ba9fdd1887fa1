/**
 * Whose a data folder is, in `node.json`: the disk format's version, the node's name, the random id of this disk, and
 * the cluster's. A node is its name plus its disk's id, so a folder that was lost and made anew under an old name is
 * another node. Written when the folder is made, when it comes to belong to a cluster, and when that is recovered: each time whole or
 * not at all; readable by people, checksummed against slips of theirs.
 */
import { assert } from "../../src/lib/assert.ts";
import { hex, hex64, text, utf8 } from "../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { type Disk, DiskError } from "../../src/ports/disk.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { IDENTITY_LIMITS } from "./disk/storage-limits.ts";

export const IDENTITY_FILE = "node.json";
export const UNFINISHED_IDENTITY_FILE = "node.json.new";

const FORMAT = "tidemark-data";
/** Of everything in the folder. A server reads its own version only. */
export const DATA_VERSION = 1;
const ID_BYTES = 16;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** A member of a cluster, its disk, and where it listens for the others. */
export type Member = { readonly node: string; readonly disk: string; readonly host: string; readonly port: number };

/** From where on the configurations in the log are about this node; up to there those count that founded the cluster. */
export type Since =
  /** It joined later: what stood under its name up to this position was another disk's. */
  | { readonly kind: "joined"; readonly position: number }
  /** Its cluster lost a majority and was recovered from what this node had, with it as the only voter. */
  | { readonly kind: "recovered"; readonly position: number }
  /** That is under way: nothing in the log says who votes. */
  | { readonly kind: "recovering" };

/** What a node is told when it comes to belong to a cluster. */
export type ClusterOrigin = {
  readonly clusterId: string;
  /** The first voters, this node perhaps among them. Empty: it joined later, and who votes it learns from the log. */
  readonly founders: readonly Member[];
  /** Absent of a founder. */
  readonly since?: Since;
};

export type NodeIdentity = {
  readonly nodeName: string;
  readonly diskId: string;
  /** Empty: it belongs to no cluster yet. */
  readonly clusterId: string;
  /** Undefined: it began alone, as the only voter. */
  readonly founders: readonly Member[] | undefined;
  /** Absent: from the first on. */
  readonly since?: Since;
};

export type IdentityError = {
  readonly kind: "unsupported-version" | "damaged" | "other-node" | "invalid-name";
  readonly message: string;
};

/** Reads the folder's identity; undefined if it has none. `nodeName`, when given, must be the one found. */
export async function readIdentity(
  disk: Disk,
  nodeName: string | undefined,
): Promise<Result<NodeIdentity | undefined, IdentityError>> {
  let content: Uint8Array;
  try {
    const file = await disk.open(IDENTITY_FILE, "read");
    content = new Uint8Array(Math.min(await file.size(), IDENTITY_LIMITS.fileBytesMax));
    await file.read(0, content);
    await file.close();
  } catch (error) {
    if (error instanceof DiskError && error.code === "not-found") return ok(undefined);
    throw error;
  }
  const decoded = decode(content);
  if (!decoded.ok) return decoded;
  const found = decoded.value.nodeName;
  if (nodeName !== undefined && nodeName !== found) {
    return err({
      kind: "other-node",
      message: `this folder is of node ${JSON.stringify(found)}, not of ${JSON.stringify(nodeName)}`,
    });
  }
  return decoded;
}

/**
 * Gives a folder its identity, durably. Ids are drawn from `entropy`, and so is a name if none is given. Who is `alone`
 * is a cluster from the beginning; others belong to none until `joinCluster`.
 */
export async function createIdentity(
  disk: Disk,
  nodeName: string | undefined,
  entropy: Entropy,
  alone: boolean = true,
): Promise<Result<NodeIdentity, IdentityError>> {
  const identity: NodeIdentity = {
    nodeName: nodeName ?? `node-${hex(entropy.bytes(4))}`,
    diskId: hex(entropy.bytes(ID_BYTES)),
    clusterId: alone ? newClusterId(entropy) : "",
    founders: alone ? undefined : [],
  };
  if (!NAME.test(identity.nodeName)) {
    return err({
      kind: "invalid-name",
      message: `a node's name is 1 to 63 letters, digits, ".", "_" or "-", not ${JSON.stringify(nodeName)}`,
    });
  }
  await write(disk, identity);
  return ok(identity);
}

/** The folder belongs to this cluster from now on, durably: nothing may be said or voted in its name before. */
export async function joinCluster(disk: Disk, identity: NodeIdentity, origin: ClusterOrigin): Promise<NodeIdentity> {
  assert(identity.clusterId === "" && origin.clusterId !== "", "a node belongs to one cluster, for good");
  const joined = { ...identity, ...origin };
  await write(disk, joined);
  return joined;
}

/**
 * The folder belongs to another cluster from now on, durably, with its node as the only founder: the old one has lost a
 * majority. Nothing else was changed yet, so that before this the old one is whole, and after it the new one.
 */
export async function beginRecovery(disk: Disk, identity: NodeIdentity, origin: ClusterOrigin): Promise<NodeIdentity> {
  assert(
    identity.clusterId !== "" && identity.clusterId !== origin.clusterId,
    "a recovered cluster has an id of its own",
  );
  const recovering: NodeIdentity = { ...identity, ...origin, since: { kind: "recovering" } };
  await write(disk, recovering);
  return recovering;
}

/** The log says who votes, from this position on. */
export async function endRecovery(disk: Disk, identity: NodeIdentity, position: number): Promise<NodeIdentity> {
  assert(identity.since?.kind === "recovering", "what ends has begun");
  const recovered: NodeIdentity = { ...identity, since: { kind: "recovered", position } };
  await write(disk, recovered);
  return recovered;
}

export function newClusterId(entropy: Entropy): string {
  return hex(entropy.bytes(ID_BYTES));
}

async function write(disk: Disk, identity: NodeIdentity): Promise<void> {
  await disk.remove(UNFINISHED_IDENTITY_FILE).catch((error: unknown) => {
    if (!(error instanceof DiskError && error.code === "not-found")) throw error;
  });
  const file = await disk.open(UNFINISHED_IDENTITY_FILE, "create");
  await file.write(0, [encode(identity)]);
  await file.sync();
  await file.close();
  await disk.rename(UNFINISHED_IDENTITY_FILE, IDENTITY_FILE);
  await disk.syncDirectory("");
}

function checksumOf(identity: NodeIdentity): string {
  const { nodeName, diskId, clusterId, founders, since } = identity;
  const later = [founders, since].filter((field) => field !== undefined);
  const fields = JSON.stringify([nodeName, diskId, clusterId, ...later]);
  return hex64(xxh64(utf8(fields)));
}

function encode(identity: NodeIdentity): Uint8Array {
  const { nodeName, diskId, clusterId, founders, since } = identity;
  const fields = {
    format: FORMAT,
    version: DATA_VERSION,
    node: nodeName,
    disk: diskId,
    cluster: clusterId,
    founders,
    since,
    checksum: checksumOf(identity),
  };
  return utf8(`${JSON.stringify(fields, undefined, 2)}\n`);
}

function decode(content: Uint8Array): Result<NodeIdentity, IdentityError> {
  const damaged = err({
    kind: "damaged",
    message: `${IDENTITY_FILE} is damaged: restore it, or begin with an empty folder`,
  } as const);
  const fields = parse(content);
  if (fields === undefined || fields["format"] !== FORMAT) return damaged;
  // First of all, for another version may write everything else in another way.
  const { version } = fields;
  if (typeof version !== "number") return damaged;
  if (version !== DATA_VERSION) {
    const message = `the data has format version ${version}; this server supports version ${DATA_VERSION}`;
    return err({ kind: "unsupported-version", message });
  }
  const { node: nodeName, disk: diskId, cluster: clusterId, checksum } = fields;
  if (typeof nodeName !== "string" || typeof diskId !== "string" || typeof clusterId !== "string") return damaged;
  const founders = fields["founders"] as NodeIdentity["founders"];
  const since = fields["since"] as NodeIdentity["since"];
  const identity = { nodeName, diskId, clusterId, founders, ...(since !== undefined && { since }) };
  // It is what was written: its form needs no look of its own.
  return checksum === checksumOf(identity) ? ok(identity) : damaged;
}

function parse(content: Uint8Array): { readonly [field: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text(content) ?? "");
    return typeof value === "object" && value !== null ? (value as { readonly [field: string]: unknown }) : undefined;
  } catch {
    return undefined;
  }
}
