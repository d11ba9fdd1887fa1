/**
 * Looking things up (SPEC.md, "Looking up"): which streams there are, where in a stream a time begins, what a cursor
 * holds. Requests and their answers; `request.ts` and `response.ts` have their numbers and put them into frames.
 */
import type { ByteReader } from "../lib/byte-reader.ts";
import type { ByteWriter } from "../lib/byte-writer.ts";
import type { Incarnation, Offset } from "../record/offset.ts";
import type { StreamName } from "./command.ts";
import { COMMAND_LIMITS } from "./check-command.ts";
import { WIRE_LIMITS } from "./limits.ts";
import { readBoolean, readFacts, type StreamFacts, writeFacts } from "./stream-facts.ts";

/** A page of the streams whose names begin with `prefix`, in the order of their names' UTF-16 code units. */
export type ListRequest = {
  readonly kind: "list";
  /** Empty: all. Need not be a name. */
  readonly prefix: string;
  /** Only names after this; empty: from the first. */
  readonly after: string;
  /** At most this many; the server may give fewer, and says where to go on. */
  readonly limit: number;
};

/** Where in a stream to begin for what was appended at a time or later. */
export type LocateRequest = {
  readonly kind: "locate";
  readonly stream: StreamName;
  /** Must be the stream's when given, as in a read. */
  readonly incarnation?: Incarnation;
  /** Log time, milliseconds since 1970. */
  readonly atMs: number;
};

export type CursorRequest = { readonly kind: "cursor-get"; readonly name: string };

export type LookUpRequest = ListRequest | LocateRequest | CursorRequest;

export type ListedStream = StreamFacts & { readonly name: StreamName; readonly createdAtMs: number };

export type StreamListResponse = {
  readonly kind: "stream-list";
  readonly position: number;
  readonly streams: readonly ListedStream[];
  /** The `after` of the next page; absent: this is the last. */
  readonly next?: StreamName;
};

/** The first retained offset whose record was appended at the time or later; the stream's tail if there is none yet. */
export type LocatedResponse = {
  readonly kind: "located";
  readonly position: number;
  readonly incarnation: Incarnation;
  readonly offset: Offset;
};

/** Without a value: there is no such cursor. */
export type CursorResponse = { readonly kind: "cursor"; readonly position: number; readonly value?: Uint8Array };

export type LookUpResponse = StreamListResponse | LocatedResponse | CursorResponse;

export function writeList(writer: ByteWriter, { prefix, after, limit }: ListRequest): void {
  writer.string(prefix).string(after).varint(limit);
}

export function readList(reader: ByteReader): ListRequest {
  const prefix = reader.string(WIRE_LIMITS.nameBytesMax);
  const after = reader.string(WIRE_LIMITS.nameBytesMax);
  return { kind: "list", prefix, after, limit: reader.varint() };
}

export function writeLocate(writer: ByteWriter, { stream, incarnation, atMs }: LocateRequest): void {
  writer
    .string(stream)
    .varint(atMs)
    .u8(incarnation === undefined ? 0 : 1);
  if (incarnation !== undefined) writer.varint(incarnation);
}

export function readLocate(reader: ByteReader): LocateRequest {
  const stream = reader.string(reader.remaining);
  const atMs = reader.varint();
  const incarnation = readBoolean(reader) ? reader.varint() : undefined;
  return { kind: "locate", stream, atMs, ...(incarnation !== undefined && { incarnation }) };
}

export function writeStreamList(writer: ByteWriter, { streams, next }: StreamListResponse): void {
  writer.varint(streams.length);
  for (const stream of streams) {
    writer.string(stream.name);
    writeFacts(writer, stream);
    writer.varint(stream.createdAtMs);
  }
  writer.u8(next === undefined ? 0 : 1);
  if (next !== undefined) writer.string(next);
}

export function readStreamList(reader: ByteReader, position: number): StreamListResponse {
  const count = reader.count(WIRE_LIMITS.listedStreamsMax);
  const streams: ListedStream[] = [];
  for (let place = 0; place < count && !reader.failed; place += 1) {
    const name = reader.string(WIRE_LIMITS.nameBytesMax);
    const facts = readFacts(reader);
    streams.push({ name, ...facts, createdAtMs: reader.varint() });
  }
  const next = readBoolean(reader) ? reader.string(WIRE_LIMITS.nameBytesMax) : undefined;
  return { kind: "stream-list", position, streams, ...(next !== undefined && { next }) };
}

export function writeLocated(writer: ByteWriter, { incarnation, offset }: LocatedResponse): void {
  writer.varint(incarnation).varint(offset);
}

export function readLocated(reader: ByteReader, position: number): LocatedResponse {
  const incarnation = reader.varint();
  return { kind: "located", position, incarnation, offset: reader.varint() };
}

export function writeCursor(writer: ByteWriter, { value }: CursorResponse): void {
  writer.u8(value === undefined ? 0 : 1);
  if (value !== undefined) writer.blob(value);
}

export function readCursor(reader: ByteReader, position: number): CursorResponse {
  const value = readBoolean(reader) ? reader.blob(COMMAND_LIMITS.blobBytesMax) : undefined;
  return { kind: "cursor", position, ...(value !== undefined && { value }) };
}
