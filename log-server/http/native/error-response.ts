/** Whatever went wrong with a request, as the frame that says so. */
import { ERRORS } from "../../../src/wire/errors.ts";
import type { ErrorResponse } from "../../../src/wire/response.ts";
import type { HttpContext } from "../context.ts";
import { describeError } from "../error-answer.ts";
import { HttpError } from "../http-error.ts";

const RETRY_AFTER_SECONDS = 1;

export function errorResponse(context: HttpContext, error: unknown): ErrorResponse {
  const { code, message } = describeError(error);
  if (code === "internal")
    context.observer.event("request-failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  const firstOffset = error instanceof HttpError ? error.members["firstOffset"] : undefined;
  return {
    kind: "error",
    position: context.node.position,
    code,
    message,
    ...(typeof firstOffset === "number" && { firstOffset }),
    ...(ERRORS[code].retryable && { retryAfterSeconds: RETRY_AFTER_SECONDS }),
  };
}
