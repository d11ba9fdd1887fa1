/** How long an event takes from its append to its output, both to and from a log that a majority has synced. */
import type { Figure } from "../figure.ts";
import type { Scale } from "../main.ts";
import { wait } from "../processes.ts";
import { summarize } from "../rounds.ts";
import type { BenchApp } from "./apps.ts";
import { EventLoad, type Latencies } from "./event-load.ts";
import { RunningApp } from "./workers.ts";

const APP: BenchApp = { kind: "counts", name: "bench-latency", input: "bench-latency/in" };
const KEYS = 1_000;
/** Longer than elsewhere: the nodes and the worker have just begun, and at so few events a second it is seconds until what they run is compiled. */
const WARM_UPS = 6;

export async function benchLatency(url: string, scale: Scale): Promise<readonly Figure[]> {
  const { rounds, warmUpMs, measureMs, operatorEventsPerSecond: eventsPerSecond } = scale;
  const running = await RunningApp.deploy(url, APP);
  await running.start();
  const eventOf = (n: number): { readonly key: number } => ({ key: n % KEYS });
  const load = await EventLoad.start({ url, app: APP, eventsPerSecond, eventOf, first: 0 });
  await wait(WARM_UPS * warmUpMs);
  const results: Latencies[] = [];
  for (let round = 0; round < rounds; round += 1) results.push(await load.latencies(measureMs));
  await load.stop();
  await running.stop();
  const figure = (name: string, values: readonly number[]): Figure => {
    const { value, least, most } = summarize(values);
    return { name, value, unit: "ms", spread: [least, most] };
  };
  return [
    figure(
      "operators.latency.p50-ms",
      results.map(({ p50Ms }) => p50Ms),
    ),
    figure(
      "operators.latency.p99-ms",
      results.map(({ p99Ms }) => p99Ms),
    ),
  ];
}
