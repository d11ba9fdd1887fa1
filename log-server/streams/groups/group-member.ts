/** A member of a group of mode `partitions`: one session of one name, and the streams it owns. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { MemberName } from "../../../src/wire/group-command.ts";
import { Deadline } from "../deadlines.ts";
import type { Group } from "./group.ts";
import type { GroupPartition } from "./group-partition.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";

export class GroupMember extends RowOwner {
  readonly group: Group;
  readonly name: MemberName;
  /** A generation: the session of another process of this name, before or after, has another. */
  session: number;
  /** Log time at which the session ends. */
  untilMs: number;
  readonly deadline: Deadline<GroupMember> = new Deadline<GroupMember>(this);

  /** Found again from the rows of links. */
  readonly owned = new Set<GroupPartition>();

  constructor(group: Group, name: MemberName, session: number, untilMs: number) {
    super();
    this.group = group;
    this.name = name;
    this.session = session;
    this.untilMs = untilMs;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.groupMember).string(this.group.id).bytes(utf8(this.name)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writer.varint(this.session).varint(this.untilMs));
  }
}

export function compareMembers(a: GroupMember, b: GroupMember): number {
  return compareTexts(a.group.id, b.group.id) || compareTexts(a.name, b.name);
}

/** By UTF-16 code units, on every node the same. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

export function readGroupMember(group: Group, name: MemberName, reader: ByteReader): GroupMember | undefined {
  const member = new GroupMember(group, name, reader.varint(), reader.varint());
  return reader.complete ? member : undefined;
}
