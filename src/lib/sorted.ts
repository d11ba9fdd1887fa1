/** Searching in what is sorted. */

/**
 * The place of the first item that does not come before what is sought; the length if all do. What comes before must stand
 * before all that does not. One less is the place of the last that does come before, -1 if none does.
 */
export function firstNotBefore<T>(items: ArrayLike<T>, isBefore: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(items[middle] as T)) low = middle + 1;
    else high = middle;
  }
  return low;
}
