/**
 * Messages between cores as bytes. An append's entries travel as they stand: heads first, then the bytes of all their
 * batches one behind the other, which are not read here. A frame around it has the length and a checksum of all but the
 * batches, which carry their own hashes: whoever takes the message looks at those.
 *
 *     u8 version (1), u8 kind, varint log, text from, text to, varint term, then by kind:
 *
 *      1 pre-vote          point last, point committed
 *      2 pre-vote-answer   u8 granted, point committed
 *      3 vote              point last, point committed, u8 transfer
 *      4 vote-answer       u8 granted, point committed
 *      5 append            point prev, varint committed, varint count, ×entry, then the batches' bytes
 *      6 append-accepted   varint index
 *      7 append-refused    varint index, point hint, u8 lost
 *      8 heartbeat         varint committed, varint round
 *      9 heartbeat-answer  varint round, u8 1 if it stands back
 *     10 snapshot          point, bytes configuration
 *     11 campaign-now
 *     12 outdated
 *     13 read              varint session, varint context
 *     14 read-answer       varint session, varint context, u8 found, varint index (0 if not found)
 *
 *     point  varint index, varint term
 *     entry  u8 kind, varint term, varint log time, bytes head, varint batches, ×(u64 hash, u32 length, u32 span);
 *            indexes follow on prev's
 *
 * A kind that is not known is told apart from damage, so that a newer node's message is passed over (N-version clusters);
 * an unknown version is refused.
 */
import { unreachable } from "../../src/lib/assert.ts";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { err, ok, type Result } from "../../src/lib/result.ts";
import { decodeConfiguration, encodeConfiguration } from "./configuration-codec.ts";
import { type EncodedEntries, encodeEntries, readEntries } from "./entries-codec.ts";
import { MESSAGE_LIMITS } from "./limits.ts";
import type { PeerMessage } from "./message.ts";
import type { LogPoint } from "./types.ts";

const VERSION = 1;

/** Never renumber: other versions of nodes read these. */
const KIND_CODES = {
  "pre-vote": 1,
  "pre-vote-answer": 2,
  "vote": 3,
  "vote-answer": 4,
  "append": 5,
  "append-accepted": 6,
  "append-refused": 7,
  "heartbeat": 8,
  "heartbeat-answer": 9,
  "snapshot": 10,
  "campaign-now": 11,
  "outdated": 12,
  "read": 13,
  "read-answer": 14,
} as const satisfies Record<PeerMessage["kind"], number>;

const KINDS = new Map<number, PeerMessage["kind"]>(
  Object.entries(KIND_CODES).map(([kind, code]) => [code, kind as PeerMessage["kind"]]),
);

export type DecodedMessage =
  | { readonly kind: "message"; readonly log: number; readonly message: PeerMessage }
  /** Of a newer version of the protocol: to be passed over. */
  | { readonly kind: "unknown"; readonly code: number };

export type MessageError = "unsupported-version" | "malformed";

/**
 * The message in pieces, to be sent one behind the other. `entries`, if given, are an append's, encoded before: they are the
 * same for whomever it goes to.
 */
export function encodeMessage(log: number, message: PeerMessage, entries?: EncodedEntries): readonly Uint8Array[] {
  const writer = new ByteWriter();
  writer.u8(VERSION).u8(KIND_CODES[message.kind]).varint(log);
  writer.string(message.from).string(message.to).varint(message.term);
  writeBody(writer, message);
  const head = writer.finish();
  return message.kind === "append" ? [head, ...(entries ?? encodeEntries(message.entries)).pieces] : [head];
}

export function decodeMessage(bytes: Uint8Array): Result<DecodedMessage, MessageError> {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== VERSION) return err("unsupported-version");
  const code = reader.u8();
  const log = reader.varint();
  const from = reader.string(MESSAGE_LIMITS.nodeIdBytesMax);
  const to = reader.string(MESSAGE_LIMITS.nodeIdBytesMax);
  const term = reader.varint();
  if (reader.failed) return err("malformed");
  const kind = KINDS.get(code);
  if (kind === undefined) return ok({ kind: "unknown", code });
  const message = readBody(reader, kind, { from, to, term });
  return message !== undefined && reader.complete ? ok({ kind: "message", log, message }) : err("malformed");
}

function writeBody(writer: ByteWriter, message: PeerMessage): void {
  switch (message.kind) {
    case "pre-vote":
      writePoint(writer, message.last);
      return writePoint(writer, message.committed);
    case "vote":
      writePoint(writer, message.last);
      writePoint(writer, message.committed);
      return writeFlag(writer, message.transfer);
    case "pre-vote-answer":
    case "vote-answer":
      writeFlag(writer, message.granted);
      return writePoint(writer, message.committed);
    case "append":
      writePoint(writer, message.prev);
      // The entries follow, see above.
      writer.varint(message.committed);
      return;
    case "append-accepted":
      writer.varint(message.index);
      return;
    case "append-refused":
      writer.varint(message.index);
      writePoint(writer, message.hint);
      return writeFlag(writer, message.lost);
    case "heartbeat":
      writer.varint(message.committed).varint(message.round);
      return;
    case "heartbeat-answer":
      writer.varint(message.round);
      return writeFlag(writer, message.standsBack);
    case "snapshot":
      writePoint(writer, message.snapshot);
      writer.blob(encodeConfiguration(message.snapshot.configuration));
      return;
    case "campaign-now":
    case "outdated":
      return;
    case "read":
      writer.varint(message.session).varint(message.context);
      return;
    case "read-answer":
      writer.varint(message.session).varint(message.context);
      writeFlag(writer, message.index !== undefined);
      writer.varint(message.index ?? 0);
      return;
    default:
      unreachable(message);
  }
}

type Envelope = Pick<PeerMessage, "from" | "to" | "term">;

function readBody(reader: ByteReader, kind: PeerMessage["kind"], envelope: Envelope): PeerMessage | undefined {
  switch (kind) {
    case "pre-vote":
      return { ...envelope, kind, last: readPoint(reader), committed: readPoint(reader) };
    case "vote":
      return { ...envelope, kind, last: readPoint(reader), committed: readPoint(reader), transfer: readFlag(reader) };
    case "pre-vote-answer":
    case "vote-answer":
      return { ...envelope, kind, granted: readFlag(reader), committed: readPoint(reader) };
    case "append": {
      const prev = readPoint(reader);
      const committed = reader.varint();
      const entries = readEntries(reader, prev, envelope.term);
      return entries === undefined ? undefined : { ...envelope, kind, prev, committed, entries };
    }
    case "append-accepted":
      return { ...envelope, kind, index: reader.varint() };
    case "append-refused":
      return { ...envelope, kind, index: reader.varint(), hint: readPoint(reader), lost: readFlag(reader) };
    case "heartbeat":
      return { ...envelope, kind, committed: reader.varint(), round: reader.varint() };
    case "heartbeat-answer":
      return { ...envelope, kind, round: reader.varint(), standsBack: readFlag(reader) };
    case "snapshot": {
      const point = readPoint(reader);
      const configuration = decodeConfiguration(reader.blob(reader.remaining));
      if (!configuration.ok || point.term > envelope.term) return undefined;
      return { ...envelope, kind, snapshot: { ...point, configuration: configuration.value } };
    }
    case "campaign-now":
    case "outdated":
      return { ...envelope, kind };
    case "read":
      return { ...envelope, kind, session: reader.varint(), context: reader.varint() };
    case "read-answer": {
      const [session, context, found, index] = [reader.varint(), reader.varint(), readFlag(reader), reader.varint()];
      return { ...envelope, kind, session, context, index: found ? index : undefined };
    }
    default:
      return unreachable(kind);
  }
}

function writePoint(writer: ByteWriter, { index, term }: LogPoint): void {
  writer.varint(index).varint(term);
}

function readPoint(reader: ByteReader): LogPoint {
  return { index: reader.varint(), term: reader.varint() };
}

function writeFlag(writer: ByteWriter, flag: boolean): void {
  writer.u8(flag ? 1 : 0);
}

function readFlag(reader: ByteReader): boolean {
  const value = reader.u8();
  if (value > 1) reader.fail();
  return value === 1;
}
