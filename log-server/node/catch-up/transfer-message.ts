/**
 * What the two ends of a transfer say to each other, on the lane `bulk`. The sender chooses the id; it offers again
 * whenever it is in doubt, and the receiver always answers with what it has.
 *
 *     u8 kind, varint id, then by kind:
 *     1 offer   varint length, text name
 *     2 taken   varint offset: all before it is with the sink
 *     3 chunk   varint offset, u64 hash of the bytes, the bytes
 *     4 done    the sink has verified the whole
 *     5 failed  text reason; from either end
 */
import { unreachable } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { TRANSFER_LIMITS } from "./transfer-limits.ts";

export type TransferMessage =
  | { readonly kind: "offer"; readonly id: number; readonly length: number; readonly name: string }
  | { readonly kind: "taken"; readonly id: number; readonly offset: number }
  | {
      readonly kind: "chunk";
      readonly id: number;
      readonly offset: number;
      readonly hash: bigint;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly reason: string };

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = { offer: 1, taken: 2, chunk: 3, done: 4, failed: 5 } as const;

/** In pieces: a chunk's bytes are not copied. */
export function encodeTransfer(message: TransferMessage): readonly Uint8Array[] {
  const writer = new ByteWriter(64).u8(KIND_CODES[message.kind]).varint(message.id);
  switch (message.kind) {
    case "offer":
      writer.varint(message.length).string(message.name);
      break;
    case "taken":
      writer.varint(message.offset);
      break;
    case "chunk":
      writer.varint(message.offset).u64(message.hash);
      return [writer.finish(), message.bytes];
    case "done":
      break;
    case "failed":
      writer.string(message.reason);
      break;
    default:
      unreachable(message);
  }
  return [writer.finish()];
}

/** Undefined for damage, and for what a newer version says. */
export function decodeTransfer(bytes: Uint8Array): TransferMessage | undefined {
  const reader = new ByteReader(bytes);
  const code = reader.u8();
  const id = reader.varint();
  const message = readBody(reader, code, id);
  return reader.complete ? message : undefined;
}

function readBody(reader: ByteReader, code: number, id: number): TransferMessage | undefined {
  switch (code) {
    case KIND_CODES.offer:
      return { kind: "offer", id, length: reader.varint(), name: reader.string(TRANSFER_LIMITS.textBytesMax) };
    case KIND_CODES.taken:
      return { kind: "taken", id, offset: reader.varint() };
    case KIND_CODES.chunk:
      return {
        kind: "chunk",
        id,
        offset: reader.varint(),
        hash: reader.u64(),
        bytes: reader.bytes(reader.remaining),
      };
    case KIND_CODES.done:
      return { kind: "done", id };
    case KIND_CODES.failed:
      return { kind: "failed", id, reason: reader.string(TRANSFER_LIMITS.textBytesMax) };
    default:
      return undefined;
  }
}
