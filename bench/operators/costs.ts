/**
 * What guarantees cost: how fast an app works off what waits for it, beside the same app without exactly-once, without digests, and with
 * a second replica.
 */
import type { Client } from "../../client/index.ts";
import { besideFigure, type Figure } from "../figure.ts";
import type { Scale } from "../main.ts";
import { within } from "../processes.ts";
import { type Subject, takeTurns } from "../rounds.ts";
import { type BenchApp, outputOf } from "./apps.ts";
import { appendEvents } from "./events.ts";
import { RunningApp, type WorkerVariant } from "./workers.ts";

const INPUT = "bench-costs/in";
const KEYS = 10_000;
const MS_PER_SECOND = 1_000;
/** The first tenth is for the workers to come to speed. */
const SETTLED_SHARE = 0.1;

type Way = { readonly name: string; readonly workers: readonly WorkerVariant[] };

const AS_IT_IS: Way = { name: "as it is", workers: [{}] };
const WITHOUT_EXACTLY_ONCE: Way = { name: "appends of the same batches", workers: [{ commits: "appends" }] };
const WITHOUT_DIGESTS: Way = { name: "no digests", workers: [{ script: "worker-without-digests.ts" }] };
const WITH_A_STANDBY: Way = { name: "with a standby", workers: [{}, {}] };
const WAYS = [AS_IT_IS, WITHOUT_EXACTLY_ONCE, WITHOUT_DIGESTS, WITH_A_STANDBY];

export async function benchCosts(url: string, { rounds, operatorCostEvents }: Scale): Promise<readonly Figure[]> {
  await appendEvents(url, INPUT, operatorCostEvents, (n) => ({ key: n % KEYS }));
  let runs = 0;
  const subjects = WAYS.map(({ name, workers }): Subject<number> => ({
    name,
    run: () => {
      runs += 1;
      const app: BenchApp = { kind: "counts", name: `bench-costs-${runs}`, input: INPUT };
      return eventsPerSecond(url, app, workers, operatorCostEvents);
    },
  }));
  const results = await takeTurns(rounds, subjects);
  const beside = (name: string, way: Way, other: Way): Figure =>
    besideFigure(`operators.cost.${name}`, "events/s", results(way.name), other.name, results(other.name));
  return [
    beside("exactly-once", AS_IT_IS, WITHOUT_EXACTLY_ONCE),
    beside("digests", AS_IT_IS, WITHOUT_DIGESTS),
    beside("second-replica", WITH_A_STANDBY, AS_IT_IS),
  ];
}

/** From the end of the first tenth to the last, as a subscriber sees it. */
async function eventsPerSecond(
  url: string,
  app: BenchApp,
  workers: readonly WorkerVariant[],
  events: number,
): Promise<number> {
  const running = await RunningApp.deploy(url, app);
  const seen = settled(running.client, app, events);
  await Promise.all(workers.map((variant) => running.start(variant)));
  const ms = await within(`the outputs of ${events} events`, seen);
  await running.stop();
  return (events * (1 - SETTLED_SHARE) * MS_PER_SECOND) / ms;
}

async function settled(client: Client, app: BenchApp, events: number): Promise<number> {
  let startedAt: number | undefined;
  for await (const batch of client.stream(outputOf(app)).subscribe().batches()) {
    const next = (batch.at(-1)?.offset ?? 0) + 1;
    if (next >= events * SETTLED_SHARE) startedAt ??= performance.now();
    if (next >= events) break;
  }
  return performance.now() - (startedAt ?? Number.NaN);
}
