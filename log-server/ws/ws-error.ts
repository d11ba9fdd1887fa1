/** A request that this face itself refuses. */
import { ERRORS, type ErrorCode } from "../../src/wire/errors.ts";
import type { ErrorResponse } from "../../src/wire/response.ts";

const RETRY_AFTER_SECONDS = 1;

export function refusal(position: number, code: ErrorCode, message: string): ErrorResponse {
  return {
    kind: "error",
    position,
    code,
    message,
    ...(ERRORS[code].retryable && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
  };
}
