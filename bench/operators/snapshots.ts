/**
 * What snapshots cost those who wait for outputs: the slowest of them while one is taken every second, beside the same without, in
 * turns, by the same processes on the same state; with a standby, and without.
 */
import { Prng } from "../../src/lib/prng.ts";
import { besideFigure, type Figure } from "../figure.ts";
import type { Scale } from "../main.ts";
import { wait } from "../processes.ts";
import { ratios, takeTurns } from "../rounds.ts";
import type { BenchApp } from "./apps.ts";
import { EventLoad, type Latencies } from "./event-load.ts";
import { appendEvents } from "./events.ts";
import { ROW_BYTES, textOf } from "./texts.ts";
import { RunningApp } from "./workers.ts";

const APP: BenchApp = { kind: "texts", name: "bench-snapshots", input: "bench-snapshots/in" };
/** Of all keys, each second. */
const CHANGED_SHARE = 0.01;
const SNAPSHOT_EVERY_MS = 1_000;

export async function benchSnapshots(url: string, scale: Scale): Promise<readonly Figure[]> {
  const keys = Math.round(scale.operatorStateBytes / ROW_BYTES);
  const prng = new Prng(1);
  await appendEvents(url, APP.input, keys, (key) => ({ key, text: textOf(prng) }));
  const running = await RunningApp.deploy(url, APP);
  await Promise.all([1, 2].map(() => running.start({ snapshotEveryMs: SNAPSHOT_EVERY_MS })));
  await running.reached(keys);
  const eventOf = (): { readonly key: number; readonly text: string } => ({
    key: prng.below(keys),
    text: textOf(prng),
  });
  const eventsPerSecond = Math.ceil(keys * CHANGED_SHARE);
  const load = await EventLoad.start({ url, app: APP, eventsPerSecond, eventOf, first: keys });
  const figures = await withAndWithout("standby", running, load, scale);
  const committing = await load.during(running.committing());
  for (const worker of running.workers) if (worker !== committing) await worker.stop();
  figures.push(...(await withAndWithout("alone", running, load, scale)));
  await load.stop();
  await running.stop();
  return figures;
}

async function withAndWithout(
  who: "standby" | "alone",
  running: RunningApp,
  load: EventLoad,
  { rounds, warmUpMs, measureMs }: Scale,
): Promise<Figure[]> {
  const turnSnapshots = (): void => {
    for (const { tell } of running.workers) tell("SIGUSR2");
  };
  const measured = async (): Promise<Latencies> => {
    await wait(warmUpMs / 2);
    return load.latencies(measureMs);
  };
  // The first takes everything, and is not one of those that come every second.
  turnSnapshots();
  await load.during(running.newSnapshots(2));
  turnSnapshots();
  const results = await takeTurns(rounds, [
    { name: "without", run: measured },
    {
      name: "with",
      run: async () => {
        turnSnapshots();
        const latencies = await measured();
        turnSnapshots();
        return latencies;
      },
    },
  ]);
  const p99s = (name: string): readonly number[] => results(name).map(({ p99Ms }) => p99Ms);
  const figures = [
    besideFigure(`operators.snapshot.${who}.p99-ratio`, "ms", p99s("with"), "without snapshots", p99s("without")),
  ];
  // How far two rounds of the same lie apart, which is what any ratio has to be seen beside.
  const [, ...later] = p99s("without");
  if (later.length > 0) {
    const { value, least, most } = ratios(later, p99s("without").slice(0, -1));
    figures.push({ name: `operators.snapshot.${who}.a-against-a`, value, unit: "×", spread: [least, most] });
  }
  return figures;
}
