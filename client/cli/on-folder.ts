/** Work on a data folder, by a verb that asks no server: what keeps this user from it is told in one line. */
import { resolve } from "node:path";
import { whyUnusable } from "../../log-server/log/disk/unusable.ts";
import { TidemarkError } from "../error.ts";

export async function onFolder<T>(data: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const why = whyUnusable(cause, resolve(data));
    if (why === undefined) throw cause;
    throw new TidemarkError("invalid-argument", why, { cause });
  }
}
