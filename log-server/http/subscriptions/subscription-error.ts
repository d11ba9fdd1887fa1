/** The errors of the reserved APIs, which clients know by the code in an `error` member (section 7). */
import type { Rejection } from "../../../src/wire/command.ts";
import type { ErrorCode } from "../../../src/wire/errors.ts";
import { HttpError } from "../http-error.ts";
import { rejectionError } from "../rejection-answer.ts";

const PROTOCOL_CODES: Partial<Readonly<Record<ErrorCode, string>>> = {
  "subscription-not-found": "SUBSCRIPTION_NOT_FOUND",
  "subscription-exists": "SUBSCRIPTION_ALREADY_EXISTS",
  "webhook-forbidden": "WEBHOOK_URL_REJECTED",
  "already-claimed": "ALREADY_CLAIMED",
  "fenced": "FENCED",
  "nothing-pending": "NO_PENDING_WORK",
  "malformed-offset": "INVALID_OFFSET",
  "unauthorized": "TOKEN_INVALID",
};
const OTHERS = "INVALID_REQUEST";

/** The same error, with what the protocol wants to see in it. */
export function asSubscriptionError(error: HttpError, details: Readonly<Record<string, unknown>> = {}): HttpError {
  if ("error" in error.members) return error;
  const code = PROTOCOL_CODES[error.code] ?? OTHERS;
  return new HttpError(error.code, error.message, error.headers, {
    ...error.members,
    error: { code, message: error.message, ...details },
  });
}

export function subscriptionRejection(rejection: Rejection): HttpError {
  const { holder, generation } = rejection;
  return asSubscriptionError(rejectionError(rejection), {
    ...(holder !== undefined && { current_holder: holder }),
    ...(generation !== undefined && { generation }),
  });
}

export function notFound(id: string): HttpError {
  return new HttpError("subscription-not-found", `there is no subscription "${id}"`);
}
