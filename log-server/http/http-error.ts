/**
 * A request that is answered with a problem document. Thrown from wherever the request turns out wrong and turned into
 * the answer in one place (`error-answer.ts`): a route reads as what happens when all is well.
 */
import type { ErrorCode } from "../../src/wire/errors.ts";

/** Headers as names and values in turn, the form that Node writes fastest. */
export type FlatHeaders = string[];

export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly code: ErrorCode;
  readonly headers: FlatHeaders;
  /** Further members of the problem document. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    code: ErrorCode,
    message: string,
    headers: FlatHeaders = [],
    members: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.code = code;
    this.headers = headers;
    this.members = members;
  }
}
