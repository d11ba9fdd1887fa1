/**
 * Frames over HTTP. One POST of commands is under way at a time and everything asked meanwhile goes into the next, in
 * order: pipelining and batching in one. Reads and long-polls each have a POST of their own.
 */
import { concat } from "../../src/lib/bytes.ts";
import { splitFrames } from "../../src/wire/frame.ts";
import type { Request } from "../../src/wire/request.ts";
import { decodeResponse, type Response } from "../../src/wire/response.ts";
import { boundedFrame } from "./bounded-frame.ts";
import type { CallSignal } from "../call-signal.ts";
import { asTidemarkError, TidemarkError, withOutcome } from "../error.ts";
import { exchange, type Exchanged, type HttpOptions } from "./http-exchange.ts";
import { CLIENT_LIMITS } from "../limits.ts";
import type { Transport } from "./transport.ts";

type Queued = {
  readonly requestId: number;
  readonly frame: Uint8Array;
  readonly signal: CallSignal;
  /** Also stops listening to the signal. Only the first of these two counts. */
  readonly resolve: (response: Response) => void;
  readonly reject: (error: TidemarkError) => void;
};

const REQUEST_ID_RANGE = 2 ** 32;

export class HttpTransport implements Transport {
  readonly #options: HttpOptions;
  readonly #closing = new AbortController();
  #nextRequestId = 0;
  readonly #queue: Queued[] = [];
  #queuedBytes = 0;
  #posting = false;
  #reads = 0;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  request(request: Request, signal: CallSignal): Promise<Response> {
    if (this.#closing.signal.aborted) return Promise.reject(new TidemarkError("client-closed"));
    if (signal.aborted) return Promise.reject(asTidemarkError(signal.reason));
    const requestId = this.#nextRequestId;
    this.#nextRequestId = (this.#nextRequestId + 1) % REQUEST_ID_RANGE;
    const frame = boundedFrame(request, requestId);
    return request.kind === "command"
      ? this.#enqueue(requestId, frame, signal)
      : this.#read(requestId, frame, "waitMs" in request ? request.waitMs : 0, signal);
  }

  close(): Promise<void> {
    const error = new TidemarkError("client-closed");
    for (const queued of this.#queue.splice(0)) queued.reject(error);
    this.#queuedBytes = 0;
    this.#closing.abort(error);
    return Promise.resolve();
  }

  #enqueue(requestId: number, frame: Uint8Array, signal: CallSignal): Promise<Response> {
    if (
      this.#queue.length >= CLIENT_LIMITS.queuedCommandsMax ||
      (this.#queue.length > 0 && this.#queuedBytes + frame.length > CLIENT_LIMITS.queuedBytesMax)
    ) {
      return Promise.reject(new TidemarkError("overloaded", "too many commands wait for the connection"));
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const at = this.#queue.indexOf(queued);
        if (at >= 0) this.#queuedBytes -= (this.#queue.splice(at, 1)[0] as Queued).frame.length;
        reject(withOutcome(asTidemarkError(signal.reason), at >= 0 ? "not-applied" : "unknown"));
      };
      const queued: Queued = {
        requestId,
        frame,
        signal,
        resolve: (response) => {
          signal.removeEventListener("abort", onAbort);
          resolve(response);
        },
        reject: (error) => {
          signal.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#queue.push(queued);
      this.#queuedBytes += frame.length;
      if (this.#posting) return;
      this.#posting = true;
      // At the end of the microtasks, so that what is asked together travels together.
      queueMicrotask(() => void this.#postQueued());
    });
  }

  async #postQueued(): Promise<void> {
    for (let group = this.#takeGroup(); group.length > 0; group = this.#takeGroup()) await this.#post(group);
    this.#posting = false;
  }

  #takeGroup(): readonly Queued[] {
    let bytes = 0;
    let count = 0;
    for (const queued of this.#queue) {
      if (
        count > 0 &&
        (bytes + queued.frame.length > CLIENT_LIMITS.postBytesMax || count === CLIENT_LIMITS.postFramesMax)
      )
        break;
      bytes += queued.frame.length;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** Never rejects: each command of the group hears for itself. */
  async #post(group: readonly Queued[]): Promise<void> {
    let answers: ReadonlyMap<number, Response>;
    try {
      const exchanged = await exchange(
        this.#options,
        concat(group.map((queued) => queued.frame)),
        CLIENT_LIMITS.attemptTimeoutMs,
        this.#closing.signal,
      );
      answers = this.#decode(exchanged, group.length);
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      const failure = this.#closing.signal.aborted ? withOutcome(error, "unknown") : error;
      for (const queued of group) queued.reject(failure);
      return;
    }
    for (const queued of group) {
      const answer = answers.get(queued.requestId);
      if (answer === undefined)
        queued.reject(new TidemarkError("connection-lost", "the answer ended before this command's"));
      else queued.resolve(answer);
    }
  }

  async #read(requestId: number, frame: Uint8Array, waitMs: number, signal: CallSignal): Promise<Response> {
    if (this.#reads >= CLIENT_LIMITS.readsInFlightMax)
      throw new TidemarkError("overloaded", "too many reads are under way");
    this.#reads += 1;
    const onClose = (): void => controller.abort(this.#closing.signal.reason);
    const onAbort = (): void => controller.abort(asTidemarkError(signal.reason));
    const controller = new AbortController();
    this.#closing.signal.addEventListener("abort", onClose, { once: true });
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      const { attemptTimeoutMs } = CLIENT_LIMITS;
      const exchanged = await exchange(this.#options, frame, waitMs + attemptTimeoutMs, controller.signal);
      const answer = this.#decode(exchanged, 1).get(requestId);
      if (answer === undefined) throw new TidemarkError("connection-lost", "the answer ended early");
      return answer;
    } finally {
      this.#reads -= 1;
      this.#closing.signal.removeEventListener("abort", onClose);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** A node that is there and does not serve is left, too: whoever asks again asks another. */
  #decode({ url, body }: Exchanged, framesMax: number): ReadonlyMap<number, Response> {
    const answers = decodeAnswers(body, framesMax);
    for (const answer of answers.values())
      if (answer.kind === "error") this.#options.addresses.answered(url, answer.code);
    return answers;
  }
}

/** By request. What cannot be decoded spoils the whole body, for nothing after it can be trusted. */
function decodeAnswers(body: Uint8Array, framesMax: number): ReadonlyMap<number, Response> {
  const frames = splitFrames(body, CLIENT_LIMITS.responseBytesMax, framesMax);
  if (!frames.ok) throw new TidemarkError("protocol-error", `the answer cannot be understood: ${frames.error.message}`);
  const answers = new Map<number, Response>();
  for (const frame of frames.value) {
    const response = decodeResponse(frame);
    if (!response.ok)
      throw new TidemarkError("protocol-error", `the answer cannot be understood: ${response.error.message}`);
    answers.set(frame.requestId, response.value);
  }
  return answers;
}
