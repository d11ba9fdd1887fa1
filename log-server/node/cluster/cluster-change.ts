/**
 * What an operator asks of the cluster, and its way to the leader as bytes: the bodies of the call `cluster-change`.
 *
 * Asked: text kind, text node, text host, varint port, u8 1 if it is to vote, or to be undone; what a kind has not is empty. Answered: text
 * error code, empty if it is done, text message.
 */
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../../src/lib/byte-writer.ts";
import { ERRORS, type ErrorCode } from "../../../src/wire/errors.ts";
import { NodeError } from "../node-error.ts";

export type Address = { readonly host: string; readonly port: number };

export type ClusterChange =
  /** Begins without a vote, and gets one once it has caught up, if it is to. Of a member: its address is another now. */
  | { readonly kind: "add"; readonly node: string; readonly address: Address; readonly votes: boolean }
  | { readonly kind: "remove"; readonly node: string }
  /** It lost its disk: whoever comes under its name next is a new member. */
  | { readonly kind: "replace"; readonly node: string; readonly address: Address | undefined }
  /** Another is to lead: this one, or whoever has most of the log. */
  | { readonly kind: "transfer"; readonly node: string | undefined }
  /** What all members support is to apply. */
  | { readonly kind: "upgrade" }
  /** It is not to lead while another can, until that is undone or it is started anew. Asked of the node itself. */
  | { readonly kind: "drain"; readonly node: string; readonly undo: boolean };

const TEXT_BYTES_MAX = 255;
const MESSAGE_BYTES_MAX = 4_096;

export function encodeChange(change: ClusterChange): Uint8Array {
  const address = "address" in change ? change.address : undefined;
  const flag = (change.kind === "add" && change.votes) || (change.kind === "drain" && change.undo);
  return new ByteWriter()
    .string(change.kind)
    .string(("node" in change ? change.node : undefined) ?? "")
    .string(address?.host ?? "")
    .varint(address?.port ?? 0)
    .u8(flag ? 1 : 0)
    .finish();
}

/** Undefined for what is malformed, or of a newer version. */
export function decodeChange(bytes: Uint8Array): ClusterChange | undefined {
  const reader = new ByteReader(bytes);
  const kind = reader.string(TEXT_BYTES_MAX);
  const node = reader.string(TEXT_BYTES_MAX);
  const address = { host: reader.string(TEXT_BYTES_MAX), port: reader.varint() };
  const flag = reader.u8() === 1;
  if (!reader.complete) return undefined;
  switch (kind) {
    case "add":
      return { kind, node, address, votes: flag };
    case "remove":
      return { kind, node };
    case "replace":
      return { kind, node, address: address.host === "" ? undefined : address };
    case "upgrade":
      return { kind };
    case "drain":
      return { kind, node, undo: flag };
    case "transfer":
      return { kind, node: node === "" ? undefined : node };
    default:
      return undefined;
  }
}

export function encodeOutcome(error: NodeError | undefined): Uint8Array {
  return new ByteWriter()
    .string(error?.code ?? "")
    .string((error?.message ?? "").slice(0, MESSAGE_BYTES_MAX / 4))
    .finish();
}

/** Throws what the leader has thrown. */
export function takeOutcome(bytes: Uint8Array): void {
  const reader = new ByteReader(bytes);
  const code = reader.string(TEXT_BYTES_MAX);
  const message = reader.string(MESSAGE_BYTES_MAX);
  if (!reader.complete) throw new NodeError("outcome-unknown", "the leader's answer cannot be read");
  if (code !== "") throw new NodeError(code in ERRORS ? (code as ErrorCode) : "internal", message);
}
