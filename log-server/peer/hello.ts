/**
 * What two nodes tell each other first, as bytes. The dialler says hello and whom it expects; the other answers with
 * its own hello, or a refusal; the dialler answers that with a welcome, or a refusal. Only then does anything else count.
 *
 *     hello    u32 magic, varint oldest version, varint newest, text node, text to, text disk, text cluster, text life,
 *              varint feature level, varint count, ×varint log; what follows is of a newer version
 *     refusal  text code, text detail
 */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { HELLO_LIMITS } from "./limits.ts";

/** "TMPR" */
const MAGIC = 0x5250_4d54;
/** What this code speaks. */
export const VERSION_OLDEST = 1;
export const VERSION_NEWEST = 1;

/** Who a node is, as it tells its peers. */
export type Self = {
  readonly node: string;
  readonly disk: string;
  /** Empty: it belongs to no cluster yet. */
  readonly cluster: string;
  readonly featureLevel: number;
  readonly logs: readonly number[];
};

export type Hello = Self & {
  readonly versionOldest: number;
  readonly versionNewest: number;
  /** Whom the sender believes to talk to. */
  readonly to: string;
  /** Drawn at each start, so that a connection of an earlier life is known for one. */
  readonly life: string;
};

export type RefusalCode =
  | "not-a-hello"
  | "unsupported-version"
  | "wrong-cluster"
  | "wrong-node"
  | "unknown-node"
  | "own-name"
  | "disk-changed"
  | "no-shared-log"
  | "removed"
  | "feature-level"
  | "certificate-mismatch"
  /** Never sent: the two did not come to speak at all. */
  | "certificate-refused"
  | "tls-failed"
  | "refused";

export type Refusal = { readonly code: RefusalCode; readonly detail: string };

/** The codes that may be read from a peer; one that a newer version invented is `refused`. */
const CODES = new Set<string>([
  "not-a-hello",
  "unsupported-version",
  "wrong-cluster",
  "wrong-node",
  "unknown-node",
  "own-name",
  "disk-changed",
  "no-shared-log",
  "removed",
  "feature-level",
  "certificate-mismatch",
] satisfies RefusalCode[]);

export function encodeHello(hello: Hello): Uint8Array {
  const writer = new ByteWriter().u32(MAGIC).varint(hello.versionOldest).varint(hello.versionNewest);
  for (const text of [hello.node, hello.to, hello.disk, hello.cluster, hello.life]) writer.string(text);
  writer.varint(hello.featureLevel).varint(hello.logs.length);
  for (const log of hello.logs) writer.varint(log);
  return writer.finish();
}

/** Undefined if this is no hello of any version. */
export function decodeHello(bytes: Uint8Array): Hello | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u32() !== MAGIC) return undefined;
  const versionOldest = reader.varint();
  const versionNewest = reader.varint();
  const node = reader.string(HELLO_LIMITS.nameBytesMax);
  const to = reader.string(HELLO_LIMITS.nameBytesMax);
  const disk = reader.string(HELLO_LIMITS.nameBytesMax);
  const cluster = reader.string(HELLO_LIMITS.nameBytesMax);
  const life = reader.string(HELLO_LIMITS.nameBytesMax);
  const featureLevel = reader.varint();
  const logs: number[] = [];
  for (let left = reader.count(HELLO_LIMITS.logsMax); left > 0; left -= 1) logs.push(reader.varint());
  if (reader.failed || versionOldest > versionNewest) return undefined;
  return { versionOldest, versionNewest, node, to, disk, cluster, life, featureLevel, logs };
}

export function encodeRefusal({ code, detail }: Refusal): Uint8Array {
  return new ByteWriter().string(code).string(detail).finish();
}

/** Never fails: a peer that cannot even refuse has refused. */
export function decodeRefusal(bytes: Uint8Array): Refusal {
  const reader = new ByteReader(bytes);
  const code = reader.string(HELLO_LIMITS.nameBytesMax);
  const detail = reader.string(HELLO_LIMITS.detailBytesMax);
  if (reader.failed) return { code: "refused", detail: "" };
  return { code: CODES.has(code) ? (code as RefusalCode) : "refused", detail };
}
