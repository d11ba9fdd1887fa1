/** A WebSocket that speaks frames, as a test sees it: what it sends, what came, and how it ended. */
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { concat, utf8 } from "../../src/lib/bytes.ts";
import { checkBatch, decodeBatch, encodeBatch } from "../../src/record/batch-codec.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import { type Frame, splitFrames } from "../../src/wire/frame.ts";
import { encodeRequest, type Request } from "../../src/wire/request.ts";
import { decodeResponse, type Response } from "../../src/wire/response.ts";
import {
  decodeSocketResponse,
  encodeSocketRequest,
  isSocketResponse,
  type SocketRequest,
  type SocketResponse,
} from "../../src/wire/socket-frames.ts";

export type Answer = Response | SocketResponse;
export type Closed = { readonly code: number; readonly reason: string };

const FRAME_BYTES_MAX = 64 * 1024 * 1024;

export class FrameClient {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly texts: string[] = [];
  /** The numbers of all answers, in the order in which they came. */
  readonly arrived: number[] = [];
  readonly #answers = new Map<number, Answer[]>();
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.#onMessage(data as ArrayBuffer | string));
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => {
        this.#isClosed = true;
        this.#wake();
        resolve({ code, reason });
      });
    });
  }

  /** `url` is the server's, of HTTP. */
  static async open(url: string, protocols: string[] = []): Promise<FrameClient> {
    const socket = new WebSocket(`${url.replace("http", "ws")}/v1/ws`, protocols);
    const client = new FrameClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener("open", () => resolve());
      socket.addEventListener("error", () => reject(new Error("the connection was refused")));
    });
    return client;
  }

  send(id: number, ...requests: readonly (Request | SocketRequest)[]): void {
    this.sendBytes(concat(requests.map((request) => encode(request, id))));
  }

  sendBytes(bytes: Uint8Array): void {
    this.socket.send(bytes);
  }

  say(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** The next answer of this number, in order. */
  async next(id: number): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.get(id)?.shift();
      if (answer !== undefined) return answer;
      if (this.#isClosed) throw new Error(`the connection was closed before an answer to ${id}`);
      await this.#change();
    }
  }

  async ask(id: number, request: Request | SocketRequest): Promise<Answer> {
    this.send(id, request);
    return this.next(id);
  }

  /** The next text message, parsed. */
  async nextText(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.nextRawText()) as Record<string, unknown>;
  }

  /** The next answer in text, to the letter. */
  async nextRawText(): Promise<string> {
    for (;;) {
      const text = this.texts.shift();
      if (text !== undefined) return text;
      if (this.#isClosed) throw new Error("the connection was closed before a text came");
      await this.#change();
    }
  }

  /** Answers of this number that came and were not taken. */
  held(id: number): readonly Answer[] {
    return this.#answers.get(id) ?? [];
  }

  close(): void {
    this.socket.close();
  }

  #onMessage(data: ArrayBuffer | string): void {
    if (typeof data === "string") {
      this.texts.push(data);
    } else {
      const frames = splitFrames(new Uint8Array(data), FRAME_BYTES_MAX, Number.MAX_SAFE_INTEGER);
      if (!frames.ok) throw new Error(frames.error.message);
      for (const frame of frames.value) {
        const answers = this.#answers.get(frame.requestId) ?? [];
        this.#answers.set(frame.requestId, answers);
        answers.push(decode(frame));
        this.arrived.push(frame.requestId);
      }
    }
    this.#wake();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(resolve);
    });
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

export function encode(request: Request | SocketRequest, id: number): Uint8Array {
  switch (request.kind) {
    case "command":
    case "read":
    case "describe":
    case "list":
    case "locate":
    case "cursor-get":
    case "groups":
    case "group":
    case "apps":
    case "app":
      return encodeRequest(request, id);
    default:
      return encodeSocketRequest(request, id);
  }
}

function decode(frame: Frame): Answer {
  const answer = isSocketResponse(frame) ? decodeSocketResponse(frame) : decodeResponse(frame);
  if (!answer.ok) throw new Error(answer.error.message);
  return answer.value;
}

export function batch(...values: readonly string[]): BatchRef {
  const bytes = encodeBatch(values.map((value) => ({ value: utf8(value) })));
  const checked = checkBatch(bytes, { batchBytesMax: bytes.length });
  if (!checked.ok) throw new Error(checked.error.message);
  const { hash, length, span } = checked.value;
  return { hash, length, span, bytes };
}

export function create(stream: string, contentType = "text/plain"): Request {
  return { kind: "command", command: { kind: "create", stream, contentType, closed: false } };
}

export function append(stream: string, ...values: readonly string[]): Request {
  return { kind: "command", command: { kind: "append", stream, close: false, batch: batch(...values) } };
}

export function close(stream: string): Request {
  return { kind: "command", command: { kind: "append", stream, close: true } };
}

export function subscribe(
  stream: string,
  credit: number,
  from: "start" | "now" | { readonly offset: number; readonly incarnation?: number } = "start",
): SocketRequest {
  const place = typeof from === "string" ? ({ from, offset: 0 } as const) : ({ from: "offset", ...from } as const);
  return { kind: "subscribe", stream, credit, ...place };
}

/** The values of the records from `from` on. */
export function valuesOf(answer: Answer, from = 0): readonly string[] {
  if (answer.kind !== "records") throw new Error(`records were expected, not "${answer.kind}"`);
  return answer.batches.flatMap(({ firstOffset, bytes }) => {
    const decoded = decodeBatch(bytes, { rawBytesMax: FRAME_BYTES_MAX });
    if (!decoded.ok) throw new Error(decoded.error.message);
    return decoded.value.records
      .filter(({ offsetDelta }) => firstOffset + offsetDelta >= from)
      .map(({ record }) => new TextDecoder().decode(record.value ?? new Uint8Array()));
  });
}

/** A frame with a body of one's own. */
export function rawFrame(kind: number, id: number, body: Uint8Array, length = 8 + body.length): Uint8Array {
  return new ByteWriter().u32(length).u8(1).u8(kind).u16(0).u32(id).bytes(body).finish();
}
