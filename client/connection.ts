/**
 * What all streams of a client share: the transport, the retries of single calls, the sessions of single appends, and
 * the session position. Internal; users hold a `Client`.
 */
import { unreachable } from "../src/lib/assert.ts";
import type { AppendCommand, Command, CommandResult } from "../src/wire/command.ts";
import type { Request } from "../src/wire/request.ts";
import type { ErrorResponse, Response } from "../src/wire/response.ts";
import { AppendSession, type SendCommand } from "./append-session.ts";
import { Backoff } from "./backoff.ts";
import { Deadline, sleep, type CallOptions } from "./deadline.ts";
import { randomId, type Environment } from "./environment.ts";
import { after, asTidemarkError, TidemarkError, withOutcome } from "./error.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import type { ReadAnswer, ReadQuery } from "./read-answer.ts";
import type { SendRead } from "./record-stream.ts";
import { rejectionError } from "./rejection.ts";
import { SubscriptionReader } from "./subscription-reader.ts";
import type { Transport } from "./transport.ts";

const MS_PER_SECOND = 1_000;

export type StreamDescription = Extract<Response, { readonly kind: "description" }>;

export class Connection {
  readonly environment: Environment;
  /** The default for every call. */
  readonly timeoutMs: number;
  readonly #transport: Transport;
  #position = 0;
  #closed = false;
  /** In order of use, the longest unused first. */
  readonly #sessions = new Map<string, AppendSession>();

  constructor(environment: Environment, transport: Transport, timeoutMs: number) {
    this.environment = environment;
    this.timeoutMs = timeoutMs;
    this.#transport = transport;
  }

  get sessionPosition(): number {
    return this.#position;
  }

  newId(): string {
    return randomId(this.environment.entropy);
  }

  /** One attempt at an append; a refusal by the state machine is a result. */
  readonly sendCommand: SendCommand = (command: AppendCommand, signal) => this.#command(command, signal);

  /** One attempt at a read. */
  readonly sendRead: SendRead = async (query: ReadQuery, signal): Promise<ReadAnswer> => {
    const { stream, incarnation, from, offset, maxBytes, waitMs } = query;
    const response = await this.#request(
      { kind: "read", stream, from, offset, maxBytes, waitMs, ...(incarnation !== undefined && { incarnation }) },
      signal,
      (answer) => responseError(answer, from === "offset" ? offset : undefined),
    );
    if (response.kind === "records") return response;
    throw new TidemarkError("protocol-error", `a read was answered with "${response.kind}"`);
  };

  /** How one reader reads: by a subscription where the transport has them. Each reader has its own. */
  reader(): SendRead {
    const subscribe = this.#transport.subscribe?.bind(this.#transport);
    if (subscribe === undefined) return this.sendRead;
    const noted: typeof subscribe = (request, events) =>
      subscribe(request, {
        ...events,
        onEvent: (event) => {
          this.#position = Math.max(this.#position, event.position);
          events.onEvent(event);
        },
      });
    const reader = new SubscriptionReader(noted, responseError);
    return (query, signal) => reader.read(query, signal);
  }

  /** The session for single appends to a stream: made at the first, kept while there is room. */
  appends(stream: string): AppendSession {
    if (this.#closed) throw new TidemarkError("client-closed");
    const session = this.#sessions.get(stream) ?? this.#newSession(stream);
    this.#sessions.delete(stream);
    this.#sessions.set(stream, session);
    return session;
  }

  /** One command to its end: retried until it is answered or the call is over. Throws what the state machine refuses. */
  async execute(
    command: Exclude<Command, AppendCommand>,
    call: CallOptions,
  ): Promise<Exclude<CommandResult, { readonly kind: "rejected" }>> {
    let uncertain = false;
    return this.#retrying(call, async (signal) => {
      try {
        const result = await this.#command(command, signal);
        if (result.kind !== "rejected") return result;
        // Our own earlier attempt, whose answer was lost, may be why there is nothing left to delete.
        if (command.kind === "delete" && uncertain && result.code === "stream-not-found") return { kind: "done" };
        throw rejectionError(result);
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        uncertain ||= error.outcome === "unknown";
        throw uncertain ? withOutcome(error, "unknown") : error;
      }
    });
  }

  describe(stream: string, call: CallOptions): Promise<StreamDescription> {
    return this.#retrying(call, async (signal) => {
      const response = await this.#request({ kind: "describe", stream }, signal, (answer) =>
        responseError(answer, undefined),
      );
      if (response.kind === "description") return response;
      throw new TidemarkError("protocol-error", `a describe was answered with "${response.kind}"`);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const error = new TidemarkError("client-closed");
    for (const session of this.#sessions.values()) session.stop(error);
    this.#sessions.clear();
    await this.#transport.close();
  }

  async #command(command: Command, signal: AbortSignal): Promise<CommandResult> {
    const response = await this.#request({ kind: "command", command }, signal, (answer) =>
      responseError(answer, undefined),
    );
    if (response.kind === "result") return response.result;
    throw new TidemarkError("protocol-error", `a command was answered with "${response.kind}"`);
  }

  async #request(
    request: Request,
    signal: AbortSignal,
    toError: (answer: ErrorResponse) => TidemarkError,
  ): Promise<Exclude<Response, ErrorResponse>> {
    const response = await this.#transport.request(request, signal);
    this.#position = Math.max(this.#position, response.position);
    switch (response.kind) {
      case "result":
      case "records":
      case "description":
        return response;
      case "error":
        throw toError(response);
      default:
        return unreachable(response);
    }
  }

  async #retrying<T>(call: CallOptions, attempt: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed) throw new TidemarkError("client-closed");
    const deadline = new Deadline(this.environment.clock, call.signal, call.timeout ?? this.timeoutMs);
    const backoff = new Backoff(this.environment.entropy);
    let last: TidemarkError | undefined;
    try {
      for (;;) {
        if (deadline.error !== undefined) throw deadline.error;
        try {
          return await attempt(deadline.signal);
        } catch (thrown) {
          const error = asTidemarkError(thrown);
          if (deadline.error !== undefined) throw after(withOutcome(deadline.error, error.outcome), last);
          if (!error.retryable || this.#closed) throw error;
          last = error;
        }
        await sleep(this.environment.clock, backoff.next(last.retryAfterMs), deadline.signal).catch(
          (thrown: unknown) => {
            throw after(withOutcome(asTidemarkError(thrown), last?.outcome ?? "not-applied"), last);
          },
        );
      }
    } finally {
      deadline.release();
    }
  }

  #newSession(stream: string): AppendSession {
    if (this.#sessions.size >= CLIENT_LIMITS.appendSessionsMax) this.#makeRoom();
    return new AppendSession(this.environment, this.sendCommand, {
      stream,
      producer: { id: this.newId(), epoch: 0 },
      onRejected: "continue",
      sharedId: false,
      unacknowledgedBytesMax: CLIENT_LIMITS.unacknowledgedBytesMax,
      timeoutMs: this.timeoutMs,
    });
  }

  #makeRoom(): void {
    for (const [stream, session] of this.#sessions) {
      if (!session.idle) continue;
      this.#sessions.delete(stream);
      return;
    }
    throw new TidemarkError("buffer-full", "appends to too many streams are under way");
  }
}

function responseError(answer: ErrorResponse, askedFrom: number | undefined): TidemarkError {
  const { code, message, firstOffset, retryAfterSeconds } = answer;
  return new TidemarkError(code, message, {
    ...(code === "offset-trimmed" &&
      firstOffset !== undefined &&
      askedFrom !== undefined && { gap: { from: askedFrom, to: firstOffset } }),
    ...(retryAfterSeconds !== undefined && { retryAfterMs: retryAfterSeconds * MS_PER_SECOND }),
  });
}
