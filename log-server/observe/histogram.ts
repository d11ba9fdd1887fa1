/**
 * A histogram for hot paths: observing is one search in a short array and three additions, no labels, no allocation.
 * It shows itself in the exposition format's terms; `metrics.ts` registers it beside the library's own.
 */

export type HistogramSample = {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
};

export class HotHistogram {
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  /** `bounds`: upper ends of the buckets, ascending; one without an end follows. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.name = name;
    this.help = help;
    this.#bounds = bounds;
    this.#counts = [...bounds, Number.POSITIVE_INFINITY].map(() => 0);
  }

  observe(value: number): void {
    let place = 0;
    while (place < this.#bounds.length && value > (this.#bounds[place] as number)) place += 1;
    this.#counts[place] = (this.#counts[place] as number) + 1;
    this.#sum += value;
    this.#count += 1;
  }

  get(): { name: string; help: string; type: "histogram"; values: HistogramSample[] } {
    const values: HistogramSample[] = [];
    let below = 0;
    for (const [place, bound] of this.#bounds.entries()) {
      below += this.#counts[place] as number;
      values.push({ metricName: `${this.name}_bucket`, labels: { le: String(bound) }, value: below });
    }
    values.push({ metricName: `${this.name}_bucket`, labels: { le: "+Inf" }, value: this.#count });
    values.push({ metricName: `${this.name}_sum`, labels: {}, value: this.#sum });
    values.push({ metricName: `${this.name}_count`, labels: {}, value: this.#count });
    return { name: this.name, help: this.help, type: "histogram", values };
  }
}

/** `count` bounds from `first` on, each `factor` times the one before. */
export function exponentialBounds(first: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, place) => Number((first * factor ** place).toPrecision(6)));
}
