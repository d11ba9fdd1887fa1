/** A failure of a verb that had done a part of its work, with the account of that part: printed with it, as JSON on standard error. */
import { TidemarkError } from "../error.ts";

export class PartialFailure extends TidemarkError {
  /** Members of the problem that `-o json` prints. */
  readonly account: object;

  constructor(error: TidemarkError, message: string, account: object) {
    super(error.code, message, { outcome: error.outcome, cause: error });
    this.account = account;
  }
}
