/** A stream in a group of mode `partitions`: how far it is processed, and whose it is. It exists as long as group and stream do. */
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { Offset } from "../../../src/record/offset.ts";
import type { Group } from "./group.ts";
import { groupLinkKey } from "./group-link-key.ts";
import type { GroupMember } from "./group-member.ts";
import { encodeRow, RowOwner } from "../rows.ts";
import type { Stream } from "../stream.ts";

export class GroupPartition extends RowOwner {
  readonly kind = "partitions";
  readonly group: Group;
  readonly stream: Stream;
  /** Everything before this is processed. Never back, but by a reset. */
  committed: Offset;
  /** Of its owner's hold on it, or of its last change of hands; 0: it never had an owner. */
  generation = 0;
  owner: GroupMember | undefined = undefined;

  constructor(group: Group, stream: Stream, committed: Offset) {
    super();
    this.group = group;
    this.stream = stream;
    this.committed = committed;
  }

  get lag(): number {
    return this.stream.nextOffset - this.committed;
  }

  override rowKey(): Uint8Array {
    return groupLinkKey(this);
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writer.varint(this.committed).varint(this.generation);
      writer.u8(this.owner === undefined ? 0 : 1);
      if (this.owner !== undefined) writer.string(this.owner.name);
    });
  }
}

export function readGroupPartition(group: Group, stream: Stream, reader: ByteReader): GroupPartition | undefined {
  const partition = new GroupPartition(group, stream, reader.varint());
  partition.generation = reader.varint();
  const hasOwner = reader.u8() === 1;
  const name = hasOwner ? reader.string(reader.remaining) : "";
  if (!reader.complete || partition.committed > stream.nextOffset) return undefined;
  partition.owner = hasOwner ? group.members.get(name) : undefined;
  return hasOwner && partition.owner === undefined ? undefined : partition;
}
