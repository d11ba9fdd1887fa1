/** A page of things that have names: of those whose names begin with a prefix, in the order of their UTF-16 code units. */

export type Named<View> = {
  readonly at: (name: string) => View | undefined;
  /** Those behind this name, in order. */
  readonly behind: (name: string) => Iterable<View>;
  readonly nameOf: (view: View) => string;
};

export type NamePage<View> = {
  readonly views: readonly View[];
  /** There are more; the next page is behind this one. */
  readonly next: string | undefined;
};

/** At least one, or who asks on would never come further. */
export function namePage<View>(
  { at, behind, nameOf }: Named<View>,
  { prefix, after }: { readonly prefix: string; readonly after: string },
  limit: number,
): NamePage<View> {
  const views: View[] = [];
  const first = after < prefix ? at(prefix) : undefined;
  if (first !== undefined) views.push(first);
  for (const view of behind(after < prefix ? prefix : after)) {
    const last = views.at(-1);
    if (!nameOf(view).startsWith(prefix)) break;
    if (last !== undefined && views.length >= limit) return { views, next: nameOf(last) };
    views.push(view);
  }
  return { views, next: undefined };
}
