/**
 * What nodes ask of each other, beside Raft's own messages: one request, one answer. A call is sent once and never
 * repeated; its request is handled at most once, even if the link repeats it; and whoever calls is always told what
 * became of it: the answer, that certainly nothing was done, or that nobody knows.
 */
import { assert, unreachable } from "../../../src/lib/assert.ts";
import { ByteReader } from "../../../src/lib/byte-reader.ts";
import { err, ok, type Result } from "../../../src/lib/result.ts";
import type { Timer } from "../../../src/ports/clock.ts";
import { LINK_LIMITS, type Link } from "../../../src/ports/link.ts";
import type { NodeParts } from "../node-parts.ts";
import {
  answerHead,
  type CallId,
  type CallKind,
  type CallMessage,
  decodeCall,
  encodeRefusal,
  requestHead,
} from "./peer-call-codec.ts";

export type PeerCallsParts = Pick<NodeParts, "logId" | "clock" | "entropy" | "limits" | "observer"> & {
  readonly link: Link;
};

/**
 * `unreachable`: no connection, or too much waits for it; `overloaded`: too much is under way, here or there;
 * `unsupported`: the other is of a version that does not know the kind. With these nothing was done. `lost`: the
 * connection ended, the time is over, or the other failed; perhaps it was done.
 */
export type CallError = "unreachable" | "overloaded" | "unsupported" | "lost";

/** Answers in pieces, which become one message. The body is the handler's to keep. Rejects only where it fails. */
export type CallHandler = (from: string, body: Uint8Array) => Promise<readonly Uint8Array[]>;

type Calling = {
  readonly to: string;
  readonly bytes: number;
  readonly timer: Timer;
  readonly settle: (result: Result<Uint8Array, CallError>) => void;
};

const LIFE_BYTES = 8;

export class PeerCalls {
  readonly #parts: PeerCallsParts;
  readonly #life: bigint;
  readonly #handlers = new Map<CallKind, CallHandler>();
  readonly #calling = new Map<number, Calling>();
  #callingBytes = 0;
  #nextId = 1;
  #handling = 0;
  #handlingBytes = 0;
  /** By caller and life, those heard last at the end. */
  readonly #seen = new Map<string, SeenIds>();
  #refused = 0;
  /** Each peer and reason is told of once; the rest is counted. */
  readonly #told = new Set<string>();
  #stopped = false;

  constructor(parts: PeerCallsParts) {
    this.#parts = parts;
    this.#life = new ByteReader(parts.entropy.bytes(LIFE_BYTES)).u64();
  }

  /** Calls that wait for their answer. */
  get underWay(): number {
    return this.#calling.size;
  }

  /** Messages that no node of this log could have sent. */
  get refused(): number {
    return this.#refused;
  }

  /** Each kind has one handler. */
  handle(kind: CallKind, handler: CallHandler): void {
    assert(!this.#handlers.has(kind), "a kind of call is handled in one place");
    this.#handlers.set(kind, handler);
  }

  /** Resolves, within `timeoutMs`, with the answer's body or an error, and never rejects. */
  call(
    to: string,
    kind: CallKind,
    body: readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<Result<Uint8Array, CallError>> {
    const { link, limits, clock, logId } = this.#parts;
    if (this.#stopped) return Promise.resolve(err("unreachable"));
    const id = this.#nextId;
    const head = requestHead({ log: logId, life: this.#life, id }, kind);
    const bytes = lengthOf(body) + head.length;
    if (bytes > LINK_LIMITS.messageBytesMax.requests || !this.#mayCall(bytes))
      return Promise.resolve(err("overloaded"));
    this.#nextId += 1;
    return new Promise((resolve) => {
      const timer = clock.schedule(timeoutMs, () => this.#settle(id, err("lost")));
      this.#calling.set(id, { to, bytes, timer, settle: resolve });
      this.#callingBytes += bytes;
      if (!link.send(to, "requests", [head, ...body])) this.#settle(id, err("unreachable"));
      assert(this.#calling.size <= limits.callsMax, "I15: calls under way have a bound");
    });
  }

  /** From the link, of its lane. */
  message(from: string, bytes: Uint8Array): void {
    if (this.#stopped) return;
    const decoded = decodeCall(bytes);
    if (!decoded.ok || decoded.value.log !== this.#parts.logId) {
      this.#refuse(from, decoded.ok ? "misdirected" : decoded.error);
      return;
    }
    const message = decoded.value;
    switch (message.what) {
      case "request":
        if (this.#isNew(from, message)) this.#onRequest(from, message);
        return;
      case "answer":
        if (this.#isOurs(from, message)) this.#settle(message.id, ok(message.body));
        return;
      case "refusal":
        if (this.#isOurs(from, message))
          this.#settle(message.id, err(message.reason === "failed" ? "lost" : message.reason));
        return;
      default:
        unreachable(message);
    }
  }

  /** The connection is gone, and with it every answer that had yet to come over it. */
  unreachable(peer: string): void {
    for (const [id, { to }] of this.#calling) if (to === peer) this.#settle(id, err("lost"));
  }

  /** Nothing more is asked or answered. */
  stop(): void {
    this.#stopped = true;
    for (const id of this.#calling.keys()) this.#settle(id, err("lost"));
  }

  #mayCall(bytes: number): boolean {
    const { callsMax, callsBytesMax } = this.#parts.limits;
    return this.#calling.size < callsMax && (this.#calling.size === 0 || this.#callingBytes + bytes <= callsBytesMax);
  }

  /** One alone is always taken, however long. */
  #mayHandle(bytes: number): boolean {
    const { callsHandledMax, callsHandledBytesMax } = this.#parts.limits;
    return (
      this.#handling < callsHandledMax && (this.#handling === 0 || this.#handlingBytes + bytes <= callsHandledBytesMax)
    );
  }

  #refuse(from: string, reason: string): void {
    this.#refused += 1;
    const what = `${from} ${reason}`;
    if (!this.#told.has(what)) this.#parts.observer.event("peer-call-refused", { from, reason });
    this.#told.add(what);
  }

  #settle(id: number, result: Result<Uint8Array, CallError>): void {
    const calling = this.#calling.get(id);
    if (calling === undefined) return;
    this.#calling.delete(id);
    this.#callingBytes -= calling.bytes;
    calling.timer.cancel();
    calling.settle(result);
  }

  #isOurs(from: string, { life, id }: CallId): boolean {
    return life === this.#life && this.#calling.get(id)?.to === from;
  }

  /** False for what the link has brought before, or so late that nobody can tell. */
  #isNew(from: string, { life, id }: CallId): boolean {
    const key = `${life} ${from}`;
    const seen = this.#seen.get(key) ?? new SeenIds(this.#parts.limits.callIdsKept);
    this.#seen.delete(key);
    this.#seen.set(key, seen);
    if (this.#seen.size > this.#parts.limits.callLivesKept) {
      const [oldest] = this.#seen.keys();
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    return seen.add(id);
  }

  #onRequest(from: string, request: CallMessage & { readonly what: "request" }): void {
    const { kind, body } = request;
    const handler = kind && this.#handlers.get(kind);
    if (handler === undefined) {
      this.#say(from, [encodeRefusal(request, "unsupported")]);
    } else if (!this.#mayHandle(body.length)) {
      this.#say(from, [encodeRefusal(request, "overloaded")]);
    } else {
      void this.#handle(from, request, handler);
    }
  }

  async #handle(
    from: string,
    request: CallMessage & { readonly what: "request" },
    handler: CallHandler,
  ): Promise<void> {
    const { length } = request.body;
    this.#handling += 1;
    this.#handlingBytes += length;
    try {
      const answer = [answerHead(request), ...(await handler(from, request.body))];
      assert(lengthOf(answer) <= LINK_LIMITS.messageBytesMax.requests, "I15: an answer has a bound");
      this.#say(from, answer);
    } catch (error) {
      this.#parts.observer.event("peer-call-failed", { from, kind: request.kind, error: String(error) });
      this.#say(from, [encodeRefusal(request, "failed")]);
    } finally {
      this.#handling -= 1;
      this.#handlingBytes -= length;
    }
  }

  /** One that is dropped at once is missed by its caller when the time is over, or the connection. */
  #say(to: string, pieces: readonly Uint8Array[]): void {
    if (!this.#stopped) this.#parts.link.send(to, "requests", pieces);
  }
}

/** Ids of one caller's life that were heard: the newest of them; those before count as heard. */
class SeenIds {
  readonly #max: number;
  readonly #ids = new Set<number>();
  #before = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** False if it was heard, or may have been. */
  add(id: number): boolean {
    if (id <= this.#before || this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#max) {
      const [oldest = 0] = this.#ids;
      this.#ids.delete(oldest);
      this.#before = Math.max(this.#before, oldest);
    }
    return true;
  }
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}
