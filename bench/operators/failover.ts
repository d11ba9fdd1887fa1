/** The replica that commits is killed, again and again: for how long nothing comes out; and for how long nothing does when nobody is killed. */
import type { Figure } from "../figure.ts";
import type { Scale } from "../main.ts";
import { median } from "../rounds.ts";
import type { BenchApp } from "./apps.ts";
import { EventLoad } from "./event-load.ts";
import { RunningApp } from "./workers.ts";

const APP: BenchApp = { kind: "counts", name: "bench-failover", input: "bench-failover/in" };
/** One every other millisecond: what is measured is not finer. */
const EVENTS_PER_SECOND = 500;
const KEYS = 100;
/** What is due so long after a kill is out before the next worker is started, which is none of the pause. */
const WATCHED_MS = 300;
/** Until a worker that was just started has seen how soon commits come. */
const SETTLED_MS = 250;

export async function benchTakeover(url: string, { kills }: Scale): Promise<readonly Figure[]> {
  const running = await RunningApp.deploy(url, APP);
  await Promise.all([running.start(), running.start()]);
  const eventOf = (n: number): { readonly key: number } => ({ key: n % KEYS });
  const load = await EventLoad.start({ url, app: APP, eventsPerSecond: EVENTS_PER_SECOND, eventOf, first: 0 });
  const gaps: number[] = [];
  const undisturbed: number[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    undisturbed.push(await load.longestGap(SETTLED_MS));
    const committing = await load.during(running.committing());
    const gap = load.longestGap(WATCHED_MS);
    await committing.stop("SIGKILL");
    gaps.push(await gap);
    await load.during(running.start());
  }
  await load.stop();
  await running.stop();
  return [
    { name: "operators.failover.max-ms", value: Math.max(...gaps), unit: "ms" },
    { name: "operators.failover.p50-ms", value: median(gaps), unit: "ms" },
    { name: "operators.failover.nobody-killed.max-ms", value: Math.max(...undisturbed), unit: "ms" },
  ];
}
