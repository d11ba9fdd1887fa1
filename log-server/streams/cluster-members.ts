/**
 * What the state knows of the cluster itself: the configuration in effect, as Raft wrote it, and each member's disk and
 * address. They are rows like all else, so a node that starts from the image or a snapshot knows who votes and where they are.
 */
import { utf8 } from "../../src/lib/bytes.ts";
import type { ByteReader } from "../../src/lib/byte-reader.ts";
import type { CommandResult, MemberRemoveCommand, MemberSetCommand } from "../../src/wire/command.ts";
import { addFormerDisk, dropFormerDisk } from "./former-disks.ts";
import type { StreamsLimits } from "./limits.ts";
import { reject, tooMany } from "./rejections.ts";
import { encodeRow, FAMILY, RowOwner } from "./rows.ts";
import type { State } from "./state.ts";

/** Empty: none was applied, the one that the log was founded with is in effect. */
export class ConfigurationRow extends RowOwner {
  head: Uint8Array = new Uint8Array(0);

  override rowKey(): Uint8Array {
    return Uint8Array.of(FAMILY.configuration);
  }

  override rowValue(): Uint8Array {
    return this.head;
  }
}

export class MemberRow extends RowOwner {
  readonly node: string;
  /** Empty: whoever comes first under the name gives it. */
  disk: string;
  host: string;
  port: number;

  constructor(node: string, disk: string, host: string, port: number) {
    super();
    this.node = node;
    this.disk = disk;
    this.host = host;
    this.port = port;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => writer.u8(FAMILY.member).bytes(utf8(this.node)));
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writer.string(this.disk).string(this.host).varint(this.port));
  }
}

export function readMember(
  node: string,
  reader: ByteReader,
  { memberTextBytesMax }: StreamsLimits,
): MemberRow | undefined {
  const disk = reader.string(memberTextBytesMax);
  const host = reader.string(memberTextBytesMax);
  const port = reader.varint();
  return reader.complete ? new MemberRow(node, disk, host, port) : undefined;
}

/** An entry of Raft's own was applied. */
export function setConfiguration({ configuration, ledger }: State, head: Uint8Array): void {
  configuration.head = new Uint8Array(head);
  ledger.put(configuration);
}

export function setMember(state: State, { node, was, disk, host, port }: MemberSetCommand): CommandResult {
  const { membersMax, memberTextBytesMax } = state.limits;
  if (node === "" || [node, disk, host].some((text) => utf8(text).length > memberTextBytesMax))
    return reject(
      "malformed-name",
      `a member's name has between 1 and ${memberTextBytesMax} bytes, its disk and host no more`,
    );
  const member = state.members.get(node);
  if (was !== undefined && was !== (member?.disk ?? null)) return changed(node);
  if (member === undefined) {
    if (state.members.size >= membersMax) return tooMany("members", membersMax);
    const added = new MemberRow(node, disk, host, port);
    state.members.set(node, added);
    state.memberChanges += 1;
    state.ledger.put(added);
    dropFormerDisk(state, disk);
    return { kind: "done" };
  }
  if (disk !== "" && member.disk !== "" && disk !== member.disk)
    return reject("condition-failed", `the member "${node}" is known with another disk: replace it first`);
  if (disk === "") addFormerDisk(state, member.disk);
  else dropFormerDisk(state, disk);
  member.disk = disk;
  member.host = host;
  member.port = port;
  state.memberChanges += 1;
  state.ledger.touch(member);
  return { kind: "done" };
}

export function removeMember(state: State, { node, was }: MemberRemoveCommand): CommandResult {
  const member = state.members.get(node);
  if (member !== undefined && was !== undefined && was !== member.disk) return changed(node);
  if (member !== undefined) {
    state.members.delete(node);
    state.memberChanges += 1;
    state.ledger.remove(member);
    addFormerDisk(state, member.disk);
  }
  return { kind: "done" };
}

/** What was asked for was meant for another disk: it came late, by way of a node that led once (W170). */
function changed(node: string): CommandResult {
  return reject("condition-failed", `the member "${node}" has changed meanwhile`);
}
