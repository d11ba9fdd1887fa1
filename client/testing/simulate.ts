/**
 * Runs an app as it will run: several replicas on a cluster of three nodes, all of it in one process, on simulated machines, with faults that
 * a seed gives. What must hold is that the faults change nothing: what comes out is what each task puts out that reads the same records without
 * any of this, once and in order, and all replicas end in the state that it ends in.
 */
import type { Topology } from "../../src/operators/build/topology.ts";
import type { SourceSettings } from "../../src/operators/engine/graph.ts";
import { TopologyRun } from "../../src/operators/run/topology-run.ts";
import type { StreamRecord } from "../../src/record/record.ts";
import { checkFaults, type FaultRates } from "./app-faults.ts";
import { SIMULATION_DEFAULTS, SIMULATION_LIMITS } from "./limits.ts";
import { checkNames, checkOneOf, checkWhole, invalid } from "./options.ts";
import type { SimulatedRun } from "./simulation.ts";
import { sourceOf, type WrittenRecord, writtenRecord } from "./test-record.ts";

/** A record with its value, which is written as `TopologyDriver.write` would. */
export type SimulatedRecord = WrittenRecord & { readonly value: unknown };

export type SimulateOptions = {
  /** By stream, in order; a stream in partitions has its number behind the name. How the streams' records mix is the seed's. */
  readonly input: Readonly<Record<string, readonly SimulatedRecord[]>>;
  /** Gives everything else. Default 1. */
  readonly seed?: number;
  /** All kinds, the default, or none, or these. */
  readonly faults?: boolean | FaultRates;
  /** Of each task, 1 to 5; default 2. */
  readonly replicas?: number;
  /** Simulated milliseconds in which input comes and faults happen; default 10,000. */
  readonly durationMs?: number;
  /** Simulated milliseconds that pass at least behind the last record, so that timers fire; default 1,000. */
  readonly quietMs?: number;
  /** What becomes of poison: the simulation fails, the default, as the driver would; or it is written to the dead letters. */
  readonly poison?: "throw" | "dead-letter";
};

const OPTIONS: readonly (keyof SimulateOptions | "seeds")[] = [
  ...(["input", "seed", "seeds", "faults", "replicas"] as const),
  ...(["durationMs", "quietMs", "poison"] as const),
];

/** A simulation in which something was not as it must be. Its message tells the seed with which it will happen again. */
export class SimulationError extends Error {
  override readonly name = "SimulationError";
  readonly seed: number;
  readonly #lines: readonly string[];

  constructor(seed: number, what: string, lines: readonly string[], cause: unknown) {
    super(`seed ${seed}: ${what}\nthe same happens again with simulate(app, { …, seed: ${seed} })`, { cause });
    this.seed = seed;
    this.#lines = lines;
  }

  /** What happened, the newest of it, each with its simulated time in milliseconds. */
  get lines(): readonly string[] {
    return this.#lines;
  }
}

/** One simulation. Rejects with `SimulationError`. */
export function simulate(
  topology: Topology,
  options: SimulateOptions & { readonly seeds?: undefined },
): Promise<SimulatedRun>;
/** So many, one after another, under seeds that follow each other. */
export function simulate(
  topology: Topology,
  options: SimulateOptions & { readonly seeds: number },
): Promise<readonly SimulatedRun[]>;
export async function simulate(
  topology: Topology,
  options: SimulateOptions & { readonly seeds?: number | undefined },
): Promise<SimulatedRun | readonly SimulatedRun[]> {
  checkNames("what a simulation is told", options, OPTIONS);
  const { seed = SIMULATION_DEFAULTS.seed, seeds } = options;
  checkWhole("seed", seed, 0);
  // None would prove nothing.
  if (seeds !== undefined) checkWhole("seeds", seeds, 1, SIMULATION_LIMITS.seedsMax);
  if (seeds === undefined) return once(topology, options, seed);
  const runs: SimulatedRun[] = [];
  for (let next = 0; next < seeds; next += 1) runs.push(await once(topology, options, seed + next));
  return runs;
}

async function once(topology: Topology, options: SimulateOptions, seed: number): Promise<SimulatedRun> {
  const { faults = true, poison = "throw" } = options;
  const { replicas = SIMULATION_DEFAULTS.replicas } = options;
  const { durationMs = SIMULATION_DEFAULTS.durationMs, quietMs = SIMULATION_DEFAULTS.quietMs } = options;
  checkWhole("replicas", replicas, 1, SIMULATION_LIMITS.replicasMax);
  checkWhole("durationMs", durationMs, 1, SIMULATION_LIMITS.durationMsMax);
  checkWhole("quietMs", quietMs, 0, SIMULATION_LIMITS.durationMsMax);
  checkOneOf("poison", poison, ["throw", "dead-letter"]);
  checkTimers();
  const graph = topology.build();
  const rates = checkFaults(faults);
  if (typeof options.input !== "object") throw invalid("input is an object: by stream, an array of records");
  const input = recordsOf(options.input, new TopologyRun(graph).sources);
  const settings = { topology, graph, input, seed, rates, replicas, durationMs, quietMs, poison };
  // With the whole server, which who only drives a topology does not wait for.
  const { Simulation } = await import("./simulation.ts");
  const simulation = new Simulation(settings);
  try {
    return await simulation.run();
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    const difference = await simulation.difference();
    const what = difference === undefined || message.includes(difference) ? message : `${message}\n${difference}`;
    throw new SimulationError(seed, what, simulation.lines, thrown);
  }
}

/** Every so many steps it waits for a turn of the real loop. Who makes timers of their own marks them with the clock that they follow. */
function checkTimers(): void {
  const { setImmediate: turn } = globalThis as { readonly setImmediate?: object };
  if (turn !== undefined && "clock" in turn)
    throw invalid("a simulation has a time of its own; with fake timers it would never end: vi.useRealTimers() first");
}

/** Streams that are given nothing are there as well. */
function recordsOf(
  input: SimulateOptions["input"],
  sources: ReadonlyMap<string, SourceSettings>,
): ReadonlyMap<string, readonly StreamRecord[]> {
  const all = new Map<string, readonly StreamRecord[]>();
  for (const [stream, { internal }] of sources) if (!internal) all.set(stream, []);
  for (const [stream, records] of Object.entries(input)) {
    const { format } = sourceOf(sources, stream);
    if (!Array.isArray(records)) throw invalid(`the input of "${stream}" is an array of records`);
    const written = records.map((record: SimulatedRecord): StreamRecord => {
      const { value, ...rest } = record;
      return writtenRecord(value, rest, format, stream);
    });
    all.set(stream, written);
  }
  return all;
}
