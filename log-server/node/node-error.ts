/** Why the node could not do what it was asked. A refused command is a result, not this: see `Rejection`. */
import type { ErrorCode } from "../../src/wire/errors.ts";

export class NodeError extends Error {
  override readonly name = "NodeError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
