/** A subscription's cursor in one stream. It exists as long as both do, and the one matches the other. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { Offset } from "../../../src/record/offset.ts";
import { encodeRow, FAMILY, RowOwner, writeKeyNumber } from "../rows.ts";
import type { Stream } from "../stream.ts";
import type { Subscription } from "./subscription.ts";

export class Link extends RowOwner {
  readonly subscription: Subscription;
  readonly stream: Stream;
  /** Everything before this is processed. */
  acked: Offset;

  constructor(subscription: Subscription, stream: Stream, acked: Offset) {
    super();
    this.subscription = subscription;
    this.stream = stream;
    this.acked = acked;
  }

  get isPending(): boolean {
    return this.stream.nextOffset > this.acked;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FAMILY.link);
      writeKeyNumber(writer, this.stream.id);
      writer.bytes(utf8(this.subscription.id));
    });
  }

  override rowValue(): Uint8Array {
    return encodeRow((writer) => writer.varint(this.acked));
  }
}
