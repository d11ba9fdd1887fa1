/** Asks the servers many things, so many at a time. */
import { CLIENT_LIMITS } from "./limits.ts";

/** The answers in the items' order. The first that fails ends it. */
export async function askTogether<T, R>(items: readonly T[], ask: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = [];
  const left = items.entries();
  const askOn = async (): Promise<void> => {
    for (const [at, item] of left) answers[at] = await ask(item);
  };
  await Promise.all(Array.from({ length: CLIENT_LIMITS.askedTogetherMax }, askOn));
  return answers;
}
