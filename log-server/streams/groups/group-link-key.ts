/** The key of a stream's row in a group, whatever the group's mode. */
import { utf8 } from "../../../src/lib/bytes.ts";
import type { Group } from "./group.ts";
import { encodeRow, FAMILY, writeKeyNumber } from "../rows.ts";
import type { Stream } from "../stream.ts";

export function groupLinkKey({ group, stream }: { readonly group: Group; readonly stream: Stream }): Uint8Array {
  return encodeRow((writer) => {
    writer.u8(FAMILY.groupLink);
    writeKeyNumber(writer, stream.id);
    writer.bytes(utf8(group.id));
  });
}
