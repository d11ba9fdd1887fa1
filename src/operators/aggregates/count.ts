/** How many records. */
import type { Aggregate } from "./aggregate.ts";

export function count(): Aggregate<unknown, number, number> {
  return { name: "count", start: () => 0, add: (n) => n + 1, merge: (a, b) => a + b, result: (n) => n };
}
