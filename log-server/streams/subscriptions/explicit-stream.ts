/** A stream that a subscription names explicitly, whether or not it exists. A row of its own, for there may be many. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { StreamName } from "../../../src/wire/command.ts";
import { encodeRow, FAMILY, RowOwner } from "../rows.ts";
import type { Subscription } from "./subscription.ts";

const NOTHING: Uint8Array = new Uint8Array(0);

export class ExplicitStream extends RowOwner {
  readonly subscription: Subscription;
  readonly name: StreamName;

  constructor(subscription: Subscription, name: StreamName) {
    super();
    this.subscription = subscription;
    this.name = name;
  }

  override rowKey(): Uint8Array {
    return encodeRow((writer) => {
      writer.u8(FAMILY.explicitStream).string(this.subscription.id).bytes(utf8(this.name));
    });
  }

  override rowValue(): Uint8Array {
    return NOTHING;
  }
}
