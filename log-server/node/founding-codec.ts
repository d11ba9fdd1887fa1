/**
 * What a node that belongs to no cluster yet asks the others it is to know, as bytes: the bodies of calls
 * (`peer-call-codec.ts`).
 *
 * `cluster-of`: nothing. Answered with text cluster; if that is empty, by a node that has none either:
 * text disk, varint count, ×text name of those it is to found with, sorted; else the founders: varint count, ×(text node,
 * text disk, text host, varint port).
 */
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import type { Member } from "../log/node-identity.ts";
import { MEMBERS_MAX } from "../raft/limits.ts";

/** Of a name, an id, or a host. */
const TEXT_BYTES_MAX = 255;

export type ClusterAnswer =
  | { readonly kind: "empty"; readonly disk: string; readonly names: readonly string[] }
  | { readonly kind: "founded"; readonly cluster: string; readonly founders: readonly Member[] };

export function encodeClusterAnswer(answer: ClusterAnswer): Uint8Array {
  const writer = new ByteWriter();
  if (answer.kind === "empty") {
    writer.string("").string(answer.disk).varint(answer.names.length);
    for (const name of answer.names) writer.string(name);
    return writer.finish();
  }
  writer.string(answer.cluster).varint(answer.founders.length);
  for (const { node, disk, host, port } of answer.founders) writer.string(node).string(disk).string(host).varint(port);
  return writer.finish();
}

/** Undefined for what is malformed. */
export function decodeClusterAnswer(bytes: Uint8Array): ClusterAnswer | undefined {
  const reader = new ByteReader(bytes);
  const text = (): string => reader.string(TEXT_BYTES_MAX);
  const cluster = text();
  if (cluster === "") {
    const disk = text();
    const names: string[] = [];
    for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1) names.push(text());
    return reader.complete ? { kind: "empty", disk, names } : undefined;
  }
  const founders: Member[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1)
    founders.push({ node: text(), disk: text(), host: text(), port: reader.varint() });
  return reader.complete ? { kind: "founded", cluster, founders } : undefined;
}
