/**
 * What a source told of event time, as of an input time: here until all lanes have come as far. There are only so many (I15): in place of two that
 * follow each other stands one that tells less than both. So the watermark may come later for it, and never too early.
 */
import { OPERATOR_LIMITS } from "../limits.ts";

export type Told = {
  /** Log time of the app's own input: from then on it holds. */
  readonly inputTime: number;
  readonly bound: number;
  readonly idle: boolean;
};

/** With one more, which is the newest. */
export function queued(waiting: readonly Told[], told: Told): readonly Told[] {
  const isAsOfNewest = waiting.at(-1)?.inputTime === told.inputTime;
  const all = [...(isAsOfNewest ? waiting.slice(0, -1) : waiting), told];
  return all.length <= OPERATOR_LIMITS.toldWaitingMax ? all : thinned(all);
}

/** Without one, where two hold for the shortest time. What the newest tells holds once all others have come as far, and stays what it is. */
function thinned(all: readonly Told[]): readonly Told[] {
  const spans = all.slice(2).map(({ inputTime }, place) => inputTime - (all[place] as Told).inputTime);
  const place = spans.indexOf(Math.min(...spans));
  const [first, second] = all.slice(place, place + 2) as [Told, Told];
  return all.toSpliced(place, 2, { ...first, idle: first.idle && second.idle });
}
