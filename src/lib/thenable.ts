/** What `await` would wait for: where all is synchronous, a value of this kind is a mistake. */
export function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
