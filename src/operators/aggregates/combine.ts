/** Several aggregates of the same records at once, by name. */
import { type Aggregate, begun, type SomeAggregate } from "./aggregate.ts";

type Parts<V> = Readonly<Record<string, SomeAggregate<V, unknown>>>;
type Results<V, P extends Parts<V>> = {
  readonly [N in keyof P]: P[N] extends SomeAggregate<V, infer R> ? R : never;
};
type Sofar = Readonly<Record<string, never>>;

export function combine<V, P extends Parts<V>>(parts: P & Parts<V>): Aggregate<V, Sofar, Results<V, P>> {
  const names = Object.keys(parts);
  const each = (of: (part: SomeAggregate<V, unknown>, name: string) => unknown): Sofar =>
    Object.fromEntries(names.map((name) => [name, of(parts[name] as SomeAggregate<V, unknown>, name)])) as Sofar;
  const merges = names.every((name) => parts[name]?.merge !== undefined);
  return {
    name: names.map((name) => `${name}: ${parts[name]?.name}`).join(", "),
    start: () => each(begun),
    add: (sofar, value) => each(({ add }, name) => add(sofar[name] as never, value)),
    ...(merges && {
      merge: (a: Sofar, b: Sofar) => each(({ merge }, name) => merge?.(a[name] as never, b[name] as never)),
    }),
    result: (sofar) => each(({ result }, name) => result(sofar[name] as never)) as Results<V, P>,
  };
}
