/**
 * Assertions for what must hold if the program is right. A failed one is a bug in Tidemark, never a
 * user's mistake: expected failures are values (`result.ts`), not exceptions.
 */

/** A broken invariant. Whoever drives the failed part must stop it rather than go on with doubtful state. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/**
 * Throws `InvariantError` unless `condition` holds. Start the message with the invariant's number where
 * it has one: `assert(next === last + 1, "I7: offsets are dense")`.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}

/** The end of an exhaustive `switch`: the compiler proves that it is never reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`);
}
