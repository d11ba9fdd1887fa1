/**
 * Where a node's log ends, as another is told who lost the end of its own: the bodies of calls (`peer-call-codec.ts`).
 *
 * The request is empty. Answered with varint index and term of the proven end, u8 whether damage behind it may yet be made
 * good, varint applied, varint voters and their names as of that.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import type { LogIndex } from "../../../src/wire/entry.ts";
import { MEMBERS_MAX, MESSAGE_LIMITS } from "../../raft/limits.ts";
import type { LogPoint, NodeId } from "../../raft/types.ts";

/** Where a node's log ends. */
export type LogEndAnswer = {
  readonly last: LogPoint;
  /** Behind it something is damaged, and others have not all been asked for it yet. */
  readonly mending: boolean;
  readonly applied: LogIndex;
  readonly voters: readonly NodeId[];
};

export function encodeLogEnd({ last, mending, applied, voters }: LogEndAnswer): Uint8Array {
  const writer = new ByteWriter(64)
    .varint(last.index)
    .varint(last.term)
    .u8(mending ? 1 : 0)
    .varint(applied);
  writer.varint(voters.length);
  for (const voter of voters) writer.string(voter);
  return writer.finish();
}

export function decodeLogEnd(bytes: Uint8Array): LogEndAnswer | undefined {
  const reader = new ByteReader(bytes);
  const last = { index: reader.varint(), term: reader.varint() };
  const mending = reader.u8() === 1;
  const applied = reader.varint();
  const voters: NodeId[] = [];
  for (let left = reader.count(MEMBERS_MAX); left > 0 && !reader.failed; left -= 1)
    voters.push(reader.string(MESSAGE_LIMITS.nodeIdBytesMax));
  return reader.complete ? { last, mending, applied, voters } : undefined;
}
