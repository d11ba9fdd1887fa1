/**
 * What a node that belongs to no cluster yet asks the others it is to know, as bytes: the bodies of calls
 * (`peer-call-codec.ts`).
 *
 * `cluster-of`: text disk of who asks. Answered with text cluster; if that is empty, by a node that has none either: text
 * disk, varint count, ×text name of those it is to found with, sorted; else u8 whether who asks is a member, with that
 * disk, u64 the position up to which this is known, and the founders: varint count, ×(text node, text disk, text host,
 * varint port).
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { Member } from "../../log/node-identity.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { MEMBERS_MAX } from "../../raft/limits.ts";

/** Of a name, an id, or a host. */
const TEXT_BYTES_MAX = 255;

export type ClusterAnswer =
  | { readonly kind: "empty"; readonly disk: string; readonly names: readonly string[] }
  | {
      readonly kind: "founded";
      readonly cluster: string;
      readonly member: boolean;
      /** All that its name was in the configurations up to here, another disk was. */
      readonly position: LogIndex;
      readonly founders: readonly Member[];
    };

export function encodeClusterQuestion(disk: string): Uint8Array {
  return new ByteWriter().string(disk).finish();
}

/** Undefined for what is malformed. */
export function decodeClusterQuestion(bytes: Uint8Array): string | undefined {
  const reader = new ByteReader(bytes);
  const disk = reader.string(TEXT_BYTES_MAX);
  return reader.complete ? disk : undefined;
}

/** What a node that belongs to a cluster answers. */
export function answerOfMember(
  cluster: string,
  founders: readonly Member[],
  member: boolean,
  position: LogIndex,
): Uint8Array {
  return encodeClusterAnswer({ kind: "founded", cluster, member, position, founders });
}

export function encodeClusterAnswer(answer: ClusterAnswer): Uint8Array {
  const writer = new ByteWriter();
  if (answer.kind === "empty") {
    writer.string("").string(answer.disk).varint(answer.names.length);
    for (const name of answer.names) writer.string(name);
    return writer.finish();
  }
  writer
    .string(answer.cluster)
    .u8(answer.member ? 1 : 0)
    .int(answer.position)
    .varint(answer.founders.length);
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
  const member = reader.u8() === 1;
  const position = reader.int();
  const founders: Member[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0; left -= 1)
    founders.push({ node: text(), disk: text(), host: text(), port: reader.varint() });
  return reader.complete ? { kind: "founded", cluster, member, position, founders } : undefined;
}
