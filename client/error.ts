/**
 * The one error the SDK throws. What the server refused carries the server's own code (`src/wire/errors.ts`); what
 * never got that far carries one of the client's.
 */
import { messageOf } from "../src/lib/thrown.ts";
import type { TaskPlace } from "../src/record/task-place.ts";
import { ERRORS, type ErrorCode } from "../src/wire/errors.ts";

type ClientErrorInfo = { readonly title: string; readonly retryable: boolean };

/** Codes that only a client can know. */
export const CLIENT_ERRORS = {
  "invalid-argument": { title: "An argument is not valid", retryable: false },
  "aborted": { title: "The caller gave the call up", retryable: false },
  "timeout": { title: "The call did not finish in time", retryable: true },
  "connection-failed": { title: "The server cannot be reached", retryable: true },
  "connection-lost": { title: "The connection broke before the answer came", retryable: true },
  "protocol-error": { title: "The server's answer cannot be understood", retryable: false },
  "unsupported": { title: "The connection cannot do this", retryable: false },
  "client-closed": { title: "The client is closed", retryable: false },
  "producer-closed": { title: "The producer is closed", retryable: false },
  "buffer-full": { title: "Too much is unacknowledged; wait for room", retryable: true },
  "producer-conflict": { title: "Another producer uses this id and epoch", retryable: false },
  "schema-mismatch": { title: "A value is not what the stream's schema allows", retryable: false },
  "not-text": { title: "The bytes are not UTF-8 text", retryable: false },
  "offset-forgotten": {
    title: "The append was applied before, too long ago for its offset to be known",
    retryable: false,
  },
} as const satisfies Readonly<Record<string, ClientErrorInfo>>;

export type ClientErrorCode = keyof typeof CLIENT_ERRORS;
export type TidemarkErrorCode = ErrorCode | ClientErrorCode;

/** What is known of the effect of a call that failed. Reads have none: theirs is always `not-applied`. */
export type Outcome = "applied" | "not-applied" | "unknown";

/** Records that a reader asked for and that exist no more: offsets from `from` up to, without, `to` (I7). */
export type Gap = { readonly from: number; readonly to: number };

export type TidemarkErrorDetails = {
  readonly outcome?: Outcome;
  readonly cause?: unknown;
  readonly gap?: Gap;
  /** The stream's next offset, where the refusal tells it. */
  readonly tail?: number;
  /** The epoch that fenced this producer. */
  readonly epoch?: number;
  /** Where the task is, when a commit of it begins elsewhere. */
  readonly place?: TaskPlace;
  /** The server asked for this much patience. */
  readonly retryAfterMs?: number;
  /** The place of the record that cannot be read. */
  readonly offset?: number;
  /** What the schema has against it. */
  readonly issues?: readonly SchemaIssue[];
};

/** One thing that a schema has against a value. */
export type SchemaIssue = { readonly message: string; readonly path: readonly PropertyKey[] };

export class TidemarkError extends Error {
  override readonly name = "TidemarkError";
  readonly code: TidemarkErrorCode;
  /** The same call may succeed later, unchanged. Calls retry by themselves until their time-out. */
  readonly retryable: boolean;
  readonly outcome: Outcome;
  readonly gap: Gap | undefined;
  readonly tail: number | undefined;
  readonly epoch: number | undefined;
  readonly place: TaskPlace | undefined;
  readonly retryAfterMs: number | undefined;
  readonly offset: number | undefined;
  readonly issues: readonly SchemaIssue[] | undefined;

  constructor(code: TidemarkErrorCode, message?: string, details: TidemarkErrorDetails = {}) {
    super(message ?? errorTitle(code), details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.retryable = isRetryable(code);
    this.outcome = details.outcome ?? defaultOutcome(code);
    this.gap = details.gap;
    this.tail = details.tail;
    this.epoch = details.epoch;
    this.place = details.place;
    this.retryAfterMs = details.retryAfterMs;
    this.offset = details.offset;
    this.issues = details.issues;
  }
}

function isClientCode(code: TidemarkErrorCode): code is ClientErrorCode {
  return Object.hasOwn(CLIENT_ERRORS, code);
}

export function errorTitle(code: TidemarkErrorCode): string {
  return isClientCode(code) ? CLIENT_ERRORS[code].title : ERRORS[code].title;
}

function isRetryable(code: TidemarkErrorCode): boolean {
  return isClientCode(code) ? CLIENT_ERRORS[code].retryable : ERRORS[code].retryable;
}

function defaultOutcome(code: TidemarkErrorCode): Outcome {
  if (!isClientCode(code)) return ERRORS[code].outcome;
  if (code === "offset-forgotten") return "applied";
  return code === "connection-lost" || code === "protocol-error" ? "unknown" : "not-applied";
}

/** A code as it came over the wire, if this client knows it. */
export function asErrorCode(code: unknown): ErrorCode | undefined {
  return typeof code === "string" && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : undefined;
}

/** The same failure, for a caller of whose command something else is known. */
export function withOutcome(error: TidemarkError, outcome: Outcome): TidemarkError {
  return error.outcome === outcome
    ? error
    : new TidemarkError(error.code, error.message, { ...detailsOf(error), outcome });
}

/** The end of a call's patience, with the failure that used it up. */
export function after(error: TidemarkError, last: TidemarkError | undefined): TidemarkError {
  if (last === undefined || error.code !== "timeout") return error;
  return new TidemarkError(error.code, `${error.message}: ${last.message}`, { ...detailsOf(error), cause: last });
}

function detailsOf(error: TidemarkError): TidemarkErrorDetails {
  const { outcome, cause, gap, tail, epoch, place, retryAfterMs, offset, issues } = error;
  return {
    outcome,
    ...(cause !== undefined && { cause }),
    ...(gap !== undefined && { gap }),
    ...(tail !== undefined && { tail }),
    ...(epoch !== undefined && { epoch }),
    ...(place !== undefined && { place }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(offset !== undefined && { offset }),
    ...(issues !== undefined && { issues }),
  };
}

/** Whatever was thrown, as the SDK's error: what is not one already is a fault in an answer or in us. */
export function asTidemarkError(thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  return new TidemarkError("protocol-error", messageOf(thrown), { cause: thrown });
}
