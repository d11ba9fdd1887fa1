/** What the demo's app must come to, computed straight from the file: late flights per origin and hour, as `04-delayed-flights.ts` does it. */
import type { Flight } from "./flights.ts";

/** What the app writes, with the origin as its key. */
export type LateHour = { readonly hour: string; readonly flights: number; readonly minutes: number };

const LATE_MINUTES = 15;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export class LateHours {
  /** By origin and hour. Hours that the file's end leaves open are not among them. */
  readonly #answer = new Map<string, LateHour>();
  /** By flight: how many hours are over with it. */
  readonly #over: number[] = [];

  constructor(flights: readonly Flight[]) {
    const late = flights.filter(({ delay }) => delay > LATE_MINUTES);
    const byHour = Map.groupBy(late, ({ origin, date }) => `${origin} ${hourOf(date)}`);
    // Flights may come an hour late: an hour is over when one has left that is more than an hour behind its end.
    const watermarks = flights.map(({ date }) => Date.parse(hourOf(date)) + minuteOf(date) - HOUR_MS);
    const reached = watermarks.at(-1) ?? -Infinity;
    const ends: number[] = [];
    for (const [name, own] of byHour) {
      const hour = name.slice(name.indexOf(" ") + 1);
      const end = Date.parse(hour) + HOUR_MS;
      if (end > reached) continue;
      ends.push(end);
      const sum = own.reduce((minutes, { delay }) => minutes + delay, 0);
      this.#answer.set(name, { hour, flights: own.length, minutes: sum / own.length });
    }
    ends.sort((a, b) => a - b);
    let over = 0;
    for (const watermark of watermarks) {
      while (over < ends.length && (ends[over] as number) <= watermark) over += 1;
      this.#over.push(over);
    }
  }

  get count(): number {
    return this.#answer.size;
  }

  /** How many there must be once so many flights were taken in. */
  after(flights: number): number {
    return this.#over[flights - 1] ?? 0;
  }

  /** What is wrong with this one, in words; undefined: nothing. */
  fault(origin: string, found: LateHour): string | undefined {
    const name = `${origin} ${found.hour}`;
    const expected = JSON.stringify(this.#answer.get(name));
    return JSON.stringify(found) === expected ? undefined : `${name}: ${JSON.stringify(found)} against ${expected}`;
  }
}

/** `2001/01/14 21:55` */
function hourOf(date: string): string {
  return `${date.slice(0, 13).replaceAll("/", "-").replace(" ", "T")}:00:00.000Z`;
}

function minuteOf(date: string): number {
  return Number(date.slice(14)) * MINUTE_MS;
}
