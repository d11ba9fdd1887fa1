/** What was thrown, as a text. Code that is not ours may throw anything. */

/** Of an error its message. Never throws, and is never empty. */
export function messageOf(thrown: unknown): string {
  try {
    if (!(thrown instanceof Error)) return String(thrown) || "an empty text";
    const { message, name }: { readonly message: unknown; readonly name: unknown } = thrown;
    return String(message) || String(name);
  } catch {
    // An object without a prototype, say, has none.
    return "something that has no text";
  }
}
