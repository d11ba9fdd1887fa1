/**
 * A stream in a group of mode `queue`: which of its records are given out, rest or are dead. All before `next` that is
 * not among these is done; what is at `next` and behind it was never given out.
 */
import type { ByteReader } from "../../../src/lib/byte-reader.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { Deadline } from "../deadlines.ts";
import type { Group } from "./group.ts";
import { groupLinkKey } from "./group-link-key.ts";
import { RecordRuns } from "./record-runs.ts";
import { encodeRow, RowOwner } from "../rows.ts";
import type { Stream } from "../stream.ts";

export class GroupQueue extends RowOwner {
  readonly kind = "queue";
  readonly group: Group;
  readonly stream: Stream;
  next: Offset;
  records = new RecordRuns();
  /** When the first of its leases ends. */
  readonly deadline: Deadline<GroupQueue> = new Deadline<GroupQueue>(this);

  /** These three are the table's. It has nothing that was never given out, as far as the table was told. */
  idle = true;
  /** It is among its group's `ready`. */
  listed = false;
  /** Of its records, those in the count of all queues. */
  counted = 0;

  constructor(group: Group, stream: Stream, next: Offset) {
    super();
    this.group = group;
    this.stream = stream;
    this.next = next;
  }

  /** Everything before this is done. */
  get committed(): Offset {
    return this.records.first ?? this.next;
  }

  get lag(): number {
    return this.stream.nextOffset - this.next + this.records.count;
  }

  override rowKey(): Uint8Array {
    return groupLinkKey(this);
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => {
      writer.varint(this.next);
      this.records.write(writer);
    });
  }
}

export function compareQueues(a: GroupQueue, b: GroupQueue): number {
  return a.stream.id - b.stream.id || (a.group.id < b.group.id ? -1 : Number(a.group.id > b.group.id));
}

export function readGroupQueue(
  group: Group,
  stream: Stream,
  reader: ByteReader,
  outstandingMax: number,
): GroupQueue | undefined {
  const queue = new GroupQueue(group, stream, reader.varint());
  const records = RecordRuns.read(reader, outstandingMax);
  if (records === undefined || !reader.complete || queue.next > stream.nextOffset) return undefined;
  if ((records.all.at(-1)?.to ?? 0) > queue.next || records.count > outstandingMax) return undefined;
  queue.records = records;
  return queue;
}
