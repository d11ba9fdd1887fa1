/**
 * What all streams of a client share: the transport, the retries of single calls, the sessions of single appends, and
 * the session position. Internal; users hold a `Client`.
 */
import { unreachable } from "../src/lib/assert.ts";
import type { Zstd } from "../src/ports/zstd.ts";
import type { AppLookUpRequest } from "../src/wire/app-look-up.ts";
import { checkCommand } from "../src/wire/check-command.ts";
import type { AppendCommand, Command, CommandResult, TransactionCommand } from "../src/wire/command.ts";
import type { GroupLookUpRequest } from "../src/wire/group-look-up.ts";
import type { ErrorCode } from "../src/wire/errors.ts";
import type { LookUpRequest } from "../src/wire/look-up.ts";
import type { DescribeRequest, QueryRequest, Request } from "../src/wire/request.ts";
import type { ErrorResponse, Response } from "../src/wire/response.ts";
import { outcomeOf } from "./appending/append-entry.ts";
import { AppendSession, type SendCommand } from "./appending/append-session.ts";
import { Backoff } from "./backoff.ts";
import { BatchMemory } from "./appending/batch-memory.ts";
import type { CallSignal } from "./call-signal.ts";
import { Deadline, sleep, type CallOptions } from "./deadline.ts";
import type { DiagnosticMessage, Diagnostics } from "./diagnostics.ts";
import { randomId, type Environment } from "./environment.ts";
import { after, asTidemarkError, TidemarkError, withOutcome } from "./error.ts";
import type { FollowedRecord, LogMark } from "./reading/followed-record.ts";
import { Gathering } from "./gathering.ts";
import { CLIENT_LIMITS } from "./limits.ts";
import { MergedStream, type MergedStreamConfig } from "./reading/merged-stream.ts";
import type { ReadAnswer, ReadQuery } from "./reading/read-answer.ts";
import type { SendRead } from "./reading/record-stream.ts";
import { rejectionError } from "./appending/rejection.ts";
import { SubscriptionReader } from "./reading/subscription-reader.ts";
import { TransactionTags } from "./appending/transaction-tags.ts";
import type { Transport } from "./transport/transport.ts";

const MS_PER_SECOND = 1_000;

/** What asks and changes nothing, with the kind of its answer. */
const ANSWERS = {
  "describe": "description",
  "list": "stream-list",
  "locate": "located",
  "cursor-get": "cursor",
  "groups": "groups",
  "group": "group",
  "apps": "apps",
  "app": "app",
} as const;

/** How commands that end something are refused once it has ended. */
const DONE_BEFORE: ReadonlyMap<Command["kind"], ErrorCode> = new Map([
  ["delete", "stream-not-found"],
  ["group-delete", "group-not-found"],
  ["group-leave", "fenced"],
  ["app-delete", "app-not-found"],
]);

type LookUp = DescribeRequest | LookUpRequest | GroupLookUpRequest | AppLookUpRequest;
type AnswerTo<Request extends LookUp> = Extract<Response, { readonly kind: (typeof ANSWERS)[Request["kind"]] }>;
type Transacted = Extract<CommandResult, { readonly kind: "transaction" }>;

/** A call, and who is told of each attempt that failed and is made again. */
export type PersistentCall = Pick<CallOptions, "timeout"> & {
  readonly signal?: CallSignal | undefined;
  readonly onRetry?: (error: TidemarkError) => void;
};

export class Connection {
  readonly environment: Environment;
  /** The default for every call. */
  readonly timeoutMs: number;
  readonly transactionTags: TransactionTags;
  readonly diagnostics: Diagnostics;
  /** Compresses what is appended. */
  readonly zstd: Zstd | undefined;
  /** Appends about to be sent. */
  readonly gathering: Gathering = new Gathering();
  /** Their batches'. */
  readonly memory: BatchMemory = new BatchMemory();
  readonly #transport: Transport;
  #position = 0;
  #closed = false;
  /** In order of use, the longest unused first. */
  readonly #sessions = new Map<string, AppendSession>();
  /** The last of them: to find it where it is costs less than to put it there. */
  #newest: { readonly stream: string; readonly session: AppendSession } | undefined;

  constructor(
    environment: Environment,
    transport: Transport,
    { diagnostics, timeoutMs, zstd }: Pick<Connection, "diagnostics" | "timeoutMs" | "zstd">,
  ) {
    this.environment = environment;
    this.diagnostics = diagnostics;
    this.timeoutMs = timeoutMs;
    this.zstd = zstd;
    this.transactionTags = new TransactionTags(environment.entropy);
    this.#transport = transport;
  }

  get sessionPosition(): number {
    return this.#position;
  }

  newId(): string {
    return randomId(this.environment.entropy);
  }

  /** One attempt at an append; a refusal by the state machine is a result. */
  readonly sendCommand: SendCommand = (command, signal) => this.#command(command, signal);

  /** One attempt at a read. */
  readonly sendRead = async (query: ReadQuery, signal: CallSignal): Promise<ReadAnswer> => {
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
    return (query, signal, over) => reader.read(query, signal, over);
  }

  /** Many streams as one. Throws `unsupported` where the transport cannot. */
  follow<T extends FollowedRecord | LogMark>(config: MergedStreamConfig): MergedStream<T> {
    const follow = this.#transport.follow?.bind(this.#transport);
    if (follow === undefined)
      throw new TidemarkError("unsupported", "many streams are followed over a WebSocket: use a ws:// or wss:// URL");
    const noted: typeof follow = (request, events) =>
      follow(request, {
        ...events,
        onEvent: (event) => {
          this.#position = Math.max(this.#position, event.position);
          events.onEvent(event);
        },
      });
    return new MergedStream<T>(this.environment, { follow: noted, toError: plainError }, config);
  }

  /** The session for single appends to a stream: made at the first, kept while there is room. */
  appends(stream: string): AppendSession {
    if (this.#closed) throw new TidemarkError("client-closed");
    if (this.#newest?.stream === stream) return this.#newest.session;
    const session = this.#sessions.get(stream) ?? this.#newSession(stream);
    this.#sessions.delete(stream);
    this.#sessions.set(stream, session);
    this.#newest = { stream, session };
    return session;
  }

  /** The stream was deleted: what is appended from now on is for another of its name. */
  forget(stream: string): void {
    if (this.#sessions.get(stream)?.idle !== true) return;
    this.#sessions.delete(stream);
    if (this.#newest?.stream === stream) this.#newest = undefined;
  }

  /** One command to its end: retried until it is answered or the call is over. Throws what the state machine refuses. */
  async execute(
    command: Exclude<Command, AppendCommand>,
    call: PersistentCall,
  ): Promise<Exclude<CommandResult, { readonly kind: "rejected" }>> {
    let uncertain = false;
    return this.#retrying(call, async (signal) => {
      try {
        const result = await this.#behindAppends(command, signal);
        if (result.kind !== "rejected") return result;
        // Our own earlier attempt, whose answer was lost, may be why there is nothing left to do.
        if (uncertain && result.code === DONE_BEFORE.get(command.kind)) return { kind: "done" };
        throw rejectionError(result);
      } catch (thrown) {
        const error = asTidemarkError(thrown);
        uncertain ||= error.outcome === "unknown";
        throw uncertain ? withOutcome(error, "unknown") : error;
      }
    });
  }

  /**
   * A transaction to its end. One with tagged appends is retried as an append is (I8). Any other is not repeated once it
   * may have taken effect: doing it twice could undo what others did in between. `uncertain`: it was under way before.
   */
  transact(command: TransactionCommand, uncertain: boolean, call: CallOptions): Promise<Transacted> {
    const isTagged = command.operations.some(({ kind, ...rest }) => kind === "append" && "producer" in rest);
    let maybeApplied = uncertain;
    return this.#retrying(
      call,
      async (signal) => {
        try {
          const result = await this.#behindAppends(command, signal);
          if (result.kind === "transaction") return result;
          throw result.kind === "rejected"
            ? rejectionError(result)
            : new TidemarkError("protocol-error", `a transaction was answered with "${result.kind}"`);
        } catch (thrown) {
          const error = asTidemarkError(thrown);
          maybeApplied ||= error.outcome === "unknown";
          if (isTagged) throw withOutcome(error, outcomeOf(error, maybeApplied));
          throw maybeApplied ? withOutcome(error, "unknown") : error;
        }
      },
      () => isTagged || !maybeApplied,
    );
  }

  /** Asks until there is an answer or the call is over. */
  lookUp<Asked extends LookUp>(request: Asked, call: PersistentCall): Promise<AnswerTo<Asked>> {
    return this.#retrying(call, (signal) => this.lookUpOnce(request, signal));
  }

  /** A read to its end, for whoever knows which records there are. */
  read(query: ReadQuery, call: PersistentCall): Promise<ReadAnswer> {
    return this.#retrying(call, (signal) => this.sendRead(query, signal));
  }

  /** One attempt at it. */
  async lookUpOnce<Asked extends LookUp>(request: Asked, signal: CallSignal): Promise<AnswerTo<Asked>> {
    const response = await this.#request(request, signal, plainError);
    if (response.kind === ANSWERS[request.kind]) return response as AnswerTo<Asked>;
    throw new TidemarkError("protocol-error", `a "${request.kind}" was answered with "${response.kind}"`);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const error = new TidemarkError("client-closed");
    for (const session of this.#sessions.values()) session.stop(error);
    this.#sessions.clear();
    await this.#transport.close();
  }

  /** Commands are sent in the order of the calls. */
  #behindAppends(command: Command, signal: CallSignal): Promise<CommandResult> {
    this.gathering.flush();
    return this.#command(command, signal);
  }

  /** One promise behind the transport's: a small append is made of little else. */
  #command(command: Command, signal: CallSignal): Promise<CommandResult> {
    return this.#send({ kind: "command", command }, signal).then(this.#onCommandAnswered);
  }

  readonly #onCommandAnswered = (answer: Response): CommandResult => {
    const response = this.#take(answer, plainError);
    if (response.kind === "result") return response.result;
    throw new TidemarkError("protocol-error", `a command was answered with "${response.kind}"`);
  };

  /** What asks and changes nothing: whatever becomes of it, it had no effect. */
  async #request(
    request: QueryRequest,
    signal: CallSignal,
    toError: (answer: ErrorResponse) => TidemarkError,
  ): Promise<Exclude<Response, ErrorResponse>> {
    try {
      return this.#take(await this.#send(request, signal), toError);
    } catch (thrown) {
      throw withOutcome(asTidemarkError(thrown), "not-applied");
    }
  }

  #send(request: Request, signal: CallSignal): Promise<Response> {
    if (!this.diagnostics.hears("request")) return this.#hand(request, signal);
    return this.diagnostics.trace("request", requestAttributes(request), () => this.#hand(request, signal));
  }

  #hand(request: Request, signal: CallSignal): Promise<Response> {
    try {
      return this.#transport.request(request, signal);
    } catch (thrown) {
      // It has no encoding, so nothing was sent. To look at each argument before would cost every call.
      return Promise.reject(unencodable(request, thrown));
    }
  }

  /** Notes the answer's position, and throws what it refuses. */
  #take(response: Response, toError: (answer: ErrorResponse) => TidemarkError): Exclude<Response, ErrorResponse> {
    this.#position = Math.max(this.#position, response.position);
    switch (response.kind) {
      case "result":
      case "records":
      case "description":
      case "stream-list":
      case "located":
      case "cursor":
      case "groups":
      case "group":
      case "apps":
      case "app":
        return response;
      case "error":
        throw toError(response);
      default:
        return unreachable(response);
    }
  }

  async #retrying<T>(
    call: PersistentCall,
    attempt: (signal: CallSignal) => Promise<T>,
    mayRepeat: () => boolean = () => true,
  ): Promise<T> {
    if (this.#closed) throw new TidemarkError("client-closed");
    const deadline = new Deadline(this.environment.clock, call.signal, call.timeout ?? this.timeoutMs);
    const backoff = new Backoff(this.environment.entropy);
    let last: TidemarkError | undefined;
    try {
      for (;;) {
        if (deadline.error !== undefined)
          throw after(withOutcome(deadline.error, last?.outcome ?? "not-applied"), last);
        try {
          return await attempt(deadline.signal);
        } catch (thrown) {
          const error = asTidemarkError(thrown);
          if (deadline.error !== undefined) throw after(withOutcome(deadline.error, error.outcome), last);
          if (!error.retryable || !mayRepeat() || this.#closed) throw error;
          last = error;
          call.onRetry?.(error);
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
      diagnostics: this.diagnostics,
      gathering: this.gathering,
      memory: this.memory,
      zstd: this.zstd,
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

function requestAttributes(request: Request): DiagnosticMessage["attributes"] {
  const asked = request.kind === "command" ? request.command : request;
  return {
    "messaging.operation.name": asked.kind,
    ...("stream" in asked && { "messaging.destination.name": asked.stream }),
    ...(asked.kind.startsWith("group") && "id" in asked && { "messaging.consumer.group.name": asked.id }),
  };
}

function unencodable(request: Request, cause: unknown): TidemarkError {
  if (cause instanceof TidemarkError) return cause;
  const checked = request.kind === "command" ? checkCommand(request.command) : undefined;
  const fault = checked?.ok === false ? checked.error.message : "an argument is not what the call takes";
  return new TidemarkError("invalid-argument", fault, { cause });
}

function plainError(answer: ErrorResponse): TidemarkError {
  return responseError(answer, undefined);
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
