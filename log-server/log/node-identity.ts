/**
 * Whose a data folder is, in `node.json`: the disk format's version, the node's name, the random id of this disk, and
 * the cluster's. A node is its name plus its disk's id, so a folder that was lost and made anew under an old name is
 * another node. Written once, whole or not at all; readable by people, checksummed against slips of theirs.
 */
import { hex, text, utf8 } from "../../src/lib/bytes.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { type Disk, DiskError } from "../../src/ports/disk.ts";
import type { Entropy } from "../../src/ports/entropy.ts";
import { xxh64 } from "../../src/record/checksum.ts";
import { IDENTITY_LIMITS } from "./storage-limits.ts";

export const IDENTITY_FILE = "node.json";
export const UNFINISHED_IDENTITY_FILE = "node.json.new";

const FORMAT = "tidemark-data";
/** Of everything in the folder. A server reads its own version only. */
export const DATA_VERSION = 1;
const ID_BYTES = 16;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

export type NodeIdentity = { readonly nodeName: string; readonly diskId: string; readonly clusterId: string };

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

/** Gives a folder its identity, durably. Ids are drawn from `entropy`, and so is a name if none is given. */
export async function createIdentity(
  disk: Disk,
  nodeName: string | undefined,
  entropy: Entropy,
): Promise<Result<NodeIdentity, IdentityError>> {
  const identity: NodeIdentity = {
    nodeName: nodeName ?? `node-${hex(entropy.bytes(4))}`,
    diskId: hex(entropy.bytes(ID_BYTES)),
    clusterId: hex(entropy.bytes(ID_BYTES)),
  };
  if (!NAME.test(identity.nodeName)) {
    return err({
      kind: "invalid-name",
      message: `a node's name is 1 to 63 letters, digits, ".", "_" or "-", not ${JSON.stringify(nodeName)}`,
    });
  }
  await disk.remove(UNFINISHED_IDENTITY_FILE).catch((error: unknown) => {
    if (!(error instanceof DiskError && error.code === "not-found")) throw error;
  });
  const file = await disk.open(UNFINISHED_IDENTITY_FILE, "create");
  await file.write(0, [encode(identity)]);
  await file.sync();
  await file.close();
  await disk.rename(UNFINISHED_IDENTITY_FILE, IDENTITY_FILE);
  await disk.syncDirectory("");
  return ok(identity);
}

function checksumOf(identity: NodeIdentity): string {
  const fields = JSON.stringify([identity.nodeName, identity.diskId, identity.clusterId]);
  return xxh64(utf8(fields)).toString(16).padStart(16, "0");
}

function encode(identity: NodeIdentity): Uint8Array {
  const { nodeName, diskId, clusterId } = identity;
  const fields = {
    format: FORMAT,
    version: DATA_VERSION,
    node: nodeName,
    disk: diskId,
    cluster: clusterId,
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
  const identity = { nodeName, diskId, clusterId };
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
