/** Remembers what short texts were parsed to: most requests repeat the names and types of others. Bounded (I15). */

const TEXT_LENGTH_MAX = 256;

/** The same as `parse`, with the answers to up to `entriesMax` texts kept. What throws is not kept. */
export function memoized<T>(parse: (text: string) => T, entriesMax: number): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    const kept = known.get(text);
    if (kept !== undefined) return kept;
    const value = parse(text);
    if (text.length > TEXT_LENGTH_MAX) return value;
    // Starting anew costs little and needs no order of use.
    if (known.size >= entriesMax) known.clear();
    known.set(text, value);
    return value;
  };
}
