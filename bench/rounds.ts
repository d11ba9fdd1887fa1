/**
 * Rounds: subjects take turns, so that a machine that is busy for a while is unfair to all of them, and of each one's
 * rounds the median counts, for a busy machine only ever makes a round worse.
 */

export type Subject<Result> = { readonly name: string; readonly run: () => Promise<Result> };

/** Each subject's results by its name, a result for each round. */
export async function takeTurns<Result>(
  rounds: number,
  subjects: readonly Subject<Result>[],
): Promise<(name: string) => readonly Result[]> {
  const results = new Map<string, Result[]>(subjects.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, run } of subjects) results.get(name)?.push(await run());
  }
  return (name) => results.get(name) ?? [];
}

/** What the rounds of one subject, or of one beside another, came to. */
export type Summary = { readonly value: number; readonly least: number; readonly most: number };

export function summarize(values: readonly number[]): Summary {
  return { value: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** Of two subjects, each round of one beside the same round of the other: what slowed a round down slowed both. */
export function ratios(values: readonly number[], beside: readonly number[]): Summary {
  return summarize(values.map((value, round) => value / (beside[round] ?? Number.NaN)));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
