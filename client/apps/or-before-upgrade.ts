/** A cluster whose nodes were upgraded, and whose feature level was not raised yet, goes on as it did before. */
import { asTidemarkError } from "../error.ts";

/** `before`: what did the same where the cluster does not have it yet. */
export async function orBeforeUpgrade(call: () => Promise<unknown>, before: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (thrown) {
    if (asTidemarkError(thrown).code !== "upgrade-needed") throw thrown;
    await before();
  }
}
