/**
 * A server in a few lines, in memory: what the state machine and the reader promise, as the SDK sees it. It decides
 * duplication by (producer, epoch, sequence) as I8 says, and knows nothing of logs or disks.
 */
import { decodeBatch } from "../../src/record/batch-codec.ts";
import { text } from "../../src/lib/bytes.ts";
import type {
  AppendCommand,
  AppendedResult,
  AppendRunCommand,
  Command,
  CommandResult,
  CreateCommand,
  Rejection,
  RunPart,
} from "../../src/wire/command.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import type { ReadRequest, Request } from "../../src/wire/request.ts";
import type { Response } from "../../src/wire/response.ts";

type FakeProducer = { epoch: number; last: number; readonly answers: Map<number, AppendedResult> };
type FakeBatch = {
  readonly firstOffset: number;
  readonly span: number;
  readonly logTime: number;
  readonly bytes: Uint8Array;
};
type FakeStream = {
  readonly incarnation: number;
  readonly contentType: string;
  readonly batches: FakeBatch[];
  readonly producers: Map<string, FakeProducer>;
  firstOffset: number;
  next: number;
  closed: boolean;
};

export class FakeServer {
  readonly streams = new Map<string, FakeStream>();
  position = 0;
  #incarnations = 0;

  create(name: string): FakeStream {
    this.#incarnations += 1;
    const stream: FakeStream = {
      incarnation: this.#incarnations,
      contentType: "application/octet-stream",
      batches: [],
      producers: new Map(),
      firstOffset: 0,
      next: 0,
      closed: false,
    };
    this.streams.set(name, stream);
    return stream;
  }

  /** Answers at once; a read at the tail does not wait. */
  handle(request: Request): Response {
    switch (request.kind) {
      case "command":
        return { kind: "result", result: this.#apply(request.command), position: this.position };
      case "read":
        return this.#read(request);
      case "describe": {
        const stream = this.streams.get(request.stream);
        if (stream === undefined) return this.#error("stream-not-found");
        const details = { createdAtMs: 0, expiry: { kind: "never" }, retention: {}, compactedBefore: 0 } as const;
        return { kind: "description", position: this.position, ...details, ...factsOf(stream) };
      }
      default:
        throw new Error("unknown request");
    }
  }

  atTail(request: ReadRequest): boolean {
    const stream = this.streams.get(request.stream);
    return stream !== undefined && !stream.closed && request.from === "offset" && request.offset === stream.next;
  }

  /** Everything in a stream, as text. */
  contents(name: string): string[] {
    const texts: string[] = [];
    for (const batch of this.streams.get(name)?.batches ?? []) {
      const decoded = decodeBatch(batch.bytes, { rawBytesMax: 1 << 30 });
      if (!decoded.ok) throw new Error(decoded.error.message);
      for (const { record } of decoded.value.records) texts.push(text(record.value ?? new Uint8Array()) ?? "?");
    }
    return texts;
  }

  #apply(command: Command): CommandResult {
    this.position += 1;
    switch (command.kind) {
      case "create":
        return this.#create(command);
      case "append":
        return this.#append(command);
      case "append-run":
        return this.#appendRun(command);
      case "delete":
        return this.streams.delete(command.stream) ? { kind: "done" } : rejected("stream-not-found");
      default:
        throw new Error(`the fake server knows no "${command.kind}"`);
    }
  }

  #create(command: CreateCommand): CommandResult {
    const existing = this.streams.get(command.stream);
    const stream = existing ?? this.create(command.stream);
    const { incarnation, contentType, next, closed } = stream;
    return {
      kind: "created",
      created: existing === undefined,
      incarnation,
      nextOffset: next,
      contentType,
      closed,
      expiry: { kind: "never" },
    };
  }

  #appendRun({ batches, producer, ...rest }: AppendRunCommand): CommandResult {
    const parts: RunPart[] = [];
    for (const [place, batch] of batches.entries()) {
      const tag = { ...producer, sequence: producer.sequence + place };
      const result = this.#append({ ...rest, kind: "append", batch, close: false, producer: tag });
      const last = parts.at(-1);
      if (last !== undefined && goesOn(last.result, result)) parts[parts.length - 1] = joined(last, result);
      else parts.push({ count: 1, result });
    }
    return { kind: "appended-run", parts };
  }

  #append(command: AppendCommand): AppendedResult | Rejection {
    const stream = this.streams.get(command.stream);
    if (stream === undefined) return rejected("stream-not-found");
    if (command.incarnation !== undefined && command.incarnation !== stream.incarnation)
      return rejected("stream-not-found");
    const tag = command.producer;
    let producer: FakeProducer | undefined;
    if (tag !== undefined) {
      const known = stream.producers.get(tag.id);
      if (known !== undefined && tag.epoch < known.epoch) return { ...rejected("producer-fenced"), epoch: known.epoch };
      if (known !== undefined && tag.epoch === known.epoch) {
        if (tag.sequence <= known.last)
          return { ...(known.answers.get(tag.sequence) as AppendedResult), duplicate: true };
        if (tag.sequence > known.last + 1) return { ...rejected("sequence-gap"), expectedSequence: known.last + 1 };
        producer = known;
      } else {
        if (tag.sequence !== 0)
          return { ...rejected(known === undefined ? "sequence-gap" : "invalid-producer"), expectedSequence: 0 };
        producer = { epoch: tag.epoch, last: -1, answers: new Map() };
      }
    }
    if (stream.closed) return { ...rejected("stream-closed"), tail: stream.next };
    if (command.expectedOffset !== undefined && command.expectedOffset !== stream.next) {
      return { ...rejected("offset-mismatch"), tail: stream.next };
    }
    const firstOffset = stream.next;
    if (command.batch?.bytes !== undefined) {
      const { bytes, span } = command.batch;
      stream.batches.push({ firstOffset, span, logTime: this.position, bytes: bytes.slice() });
      stream.next += span;
    }
    stream.closed ||= command.close;
    const result: AppendedResult = {
      kind: "appended",
      incarnation: stream.incarnation,
      tail: stream.next,
      closed: stream.closed,
      duplicate: false,
      ...(command.batch !== undefined && { firstOffset, nextOffset: stream.next }),
    };
    if (tag !== undefined && producer !== undefined) {
      producer.last = tag.sequence;
      producer.answers.set(tag.sequence, result);
      stream.producers.set(tag.id, producer);
    }
    return result;
  }

  #read(request: ReadRequest): Response {
    const stream = this.streams.get(request.stream);
    if (stream === undefined) return this.#error("stream-not-found");
    if (request.incarnation !== undefined && request.incarnation !== stream.incarnation)
      return this.#error("stream-not-found");
    const from = { offset: request.offset, start: stream.firstOffset, now: stream.next }[request.from];
    if (from < stream.firstOffset) return { ...this.#error("offset-trimmed"), firstOffset: stream.firstOffset };
    const batches: FakeBatch[] = [];
    let nextOffset = from;
    let bytes = 0;
    for (const batch of stream.batches) {
      if (batch.firstOffset + batch.span <= from) continue;
      if (batches.length > 0 && bytes + batch.bytes.length > request.maxBytes) break;
      batches.push(batch);
      bytes += batch.bytes.length;
      nextOffset = batch.firstOffset + batch.span;
    }
    return {
      kind: "records",
      position: this.position,
      ...factsOf(stream),
      nextOffset,
      upToDate: nextOffset === stream.next,
      batches,
    };
  }

  #error(code: ErrorCode): Extract<Response, { readonly kind: "error" }> {
    return { kind: "error", position: this.position, code, message: code };
  }
}

function goesOn(before: RunPart["result"], result: RunPart["result"]): boolean {
  if (before.kind !== "appended" || result.kind !== "appended") return false;
  return before.duplicate === result.duplicate && before.nextOffset === result.firstOffset;
}

function joined({ count, result: first }: RunPart, last: RunPart["result"]): RunPart {
  const { firstOffset } = first as AppendedResult;
  return { count: count + 1, result: { ...last, ...(firstOffset !== undefined && { firstOffset }) } };
}

function rejected(code: ErrorCode): Rejection {
  return { kind: "rejected", code, message: code };
}

function factsOf(stream: FakeStream): {
  readonly incarnation: number;
  readonly contentType: string;
  readonly firstOffset: number;
  readonly tail: number;
  readonly closed: boolean;
} {
  const { incarnation, contentType, firstOffset, next, closed } = stream;
  return { incarnation, contentType, firstOffset, tail: next, closed };
}
