/** A call whose answer says nothing but whether it was done. */
import { err, ok, type Result } from "../src/lib/result.ts";
import { asTidemarkError } from "./error.ts";

/** Rejects where the outcome is not known, or may be another one another time. */
export async function settled(call: Promise<unknown>): Promise<Result<void, string>> {
  try {
    await call;
    return ok(undefined);
  } catch (thrown) {
    const error = asTidemarkError(thrown);
    if (error.outcome !== "not-applied" || error.retryable) throw error;
    return err(error.message);
  }
}
