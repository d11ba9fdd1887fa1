/** Problem documents (RFC 9457) for an error code. */
import { type ErrorCode, ERRORS } from "./errors.ts";

export const PROBLEM_CONTENT_TYPE = "application/problem+json";

export type Problem = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
};

/** `detail` is for people, and about this one occurrence; what programs need beyond the code are members of their own. */
export function problemOf(code: ErrorCode, detail: string): Problem {
  const { status, title, retryable } = ERRORS[code];
  return { type: `urn:tidemark:error:${code}`, title, status, detail, code, retryable };
}
