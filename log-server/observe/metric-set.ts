/**
 * The metrics of one server under one prefix. A metric is a function that is asked when somebody scrapes, so that nothing
 * is kept twice; only histograms are fed as things happen.
 */
import { collectDefaultMetrics, Counter, Gauge, type Metric, Registry } from "prom-client";
import { HotHistogram } from "./histogram.ts";

/** By name. */
export type Labels = Readonly<Record<string, string>>;

export class MetricSet {
  readonly #registry = new Registry();

  /** Also the process's own (memory, CPU, garbage collection): once per process. */
  addProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  clear(): void {
    this.#registry.clear();
  }

  /** Nothing is shown while `value` is undefined. */
  gauge(name: string, help: string, value: () => number | undefined): void {
    const gauge: Gauge = new Gauge({
      name: prefixed(name),
      help,
      registers: [this.#registry],
      collect: () => {
        const current = value();
        if (current === undefined) gauge.remove();
        else gauge.set(current);
      },
    });
  }

  /** One for each of those that there are now. */
  gaugeBy(name: string, help: string, label: string, values: () => Iterable<readonly [string, number]>): void {
    this.gaugeByAll(name, help, [label], () => labelled(label, values()));
  }

  /** By several labels. */
  gaugeByAll(
    name: string,
    help: string,
    labelNames: readonly string[],
    values: () => Iterable<readonly [Labels, number]>,
  ): void {
    const gauge: Gauge = new Gauge({
      name: prefixed(name),
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const [labels, value] of values()) gauge.set(labels, value);
      },
    });
  }

  counter(name: string, help: string, value: () => number): void {
    const counter: Counter = new Counter({
      name: prefixed(name),
      help,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        counter.inc(value());
      },
    });
  }

  counterBy(name: string, help: string, label: string, counts: () => Iterable<readonly [string, number]>): void {
    this.counterByAll(name, help, [label], () => labelled(label, counts()));
  }

  counterByAll(
    name: string,
    help: string,
    labelNames: readonly string[],
    counts: () => Iterable<readonly [Labels, number]>,
  ): void {
    const counter: Counter = new Counter({
      name: prefixed(name),
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        for (const [labels, count] of counts()) counter.inc(labels, count);
      },
    });
  }

  histogram(name: string, help: string, bounds: readonly number[]): HotHistogram {
    const histogram = new HotHistogram(prefixed(name), help, bounds);
    // The registry asks its metrics for a name and for `get()`, and this has both.
    this.#registry.registerMetric(histogram as unknown as Metric);
    return histogram;
  }
}

function* labelled(label: string, values: Iterable<readonly [string, number]>): Iterable<readonly [Labels, number]> {
  for (const [which, value] of values) yield [{ [label]: which }, value];
}

function prefixed(name: string): string {
  return `tidemark_${name}`;
}
