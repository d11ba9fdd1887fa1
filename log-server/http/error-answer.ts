/** Turns whatever went wrong in a request into its problem document: our own errors, the node's, and the framework's. */
import type { FastifyReply } from "fastify";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { NodeError } from "../node/node-error.ts";
import type { Answers } from "./answers.ts";
import { HttpError } from "./http-error.ts";
import type { HttpObserver } from "./observer.ts";

/** What the framework finds wrong before a route sees the request. It calls only a URL that it cannot decode bad. */
const FRAMEWORK_CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["FST_ERR_BAD_URL", "malformed-url"],
  ["FST_ERR_MAX_PARAM_LENGTH", "url-too-long"],
  ["FST_ERR_ASYNC_CONSTRAINT", "malformed-request"],
  ["FST_ERR_CTP_INVALID_MEDIA_TYPE", "unsupported-media-type"],
  ["FST_ERR_CTP_BODY_TOO_LARGE", "body-too-large"],
  ["FST_ERR_CTP_INVALID_CONTENT_LENGTH", "malformed-request"],
]);

export function answerError(answers: Answers, observer: HttpObserver, reply: FastifyReply, error: unknown): void {
  const { code, message } = describeError(error);
  if (code === "internal")
    observer.event("request-failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  if (reply.raw.headersSent || reply.raw.destroyed) {
    // Half an answer must not look like a whole one.
    reply.raw.destroy();
    return;
  }
  const own = error instanceof HttpError ? error : undefined;
  answers.problem(reply, code, message, own?.headers, own?.members);
}

/** The code and text of an error, as problem documents and error frames show it. */
export function describeError(error: unknown): { readonly code: ErrorCode; readonly message: string } {
  if (error instanceof HttpError || error instanceof NodeError) return { code: error.code, message: error.message };
  if (error instanceof Error && "code" in error) {
    const code = FRAMEWORK_CODES.get(String(error.code));
    if (code !== undefined) return { code, message: error.message };
  }
  return { code: "internal", message: "the request failed; the server's log says why" };
}
