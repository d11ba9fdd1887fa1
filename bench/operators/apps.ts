/** The apps that are measured. What is put out carries the number of the event and when it was due, and in the order of the events. */
import { type Topology, topology } from "../../src/operators/build/topology.ts";
import { valueState } from "../../src/operators/state/keyed-state.ts";

/** `key` chooses the state. `n` counts the events from 0. */
export type BenchEvent = { readonly n: number; readonly key: number; readonly dueAt: number; readonly text?: string };
export type BenchOutput = Omit<BenchEvent, "text">;

/** `counts`: how many events a key had. `texts`: the newest text of each key. */
export type AppKind = "counts" | "texts";
export type BenchApp = { readonly kind: AppKind; readonly name: string; readonly input: string };

export function outputOf({ name }: BenchApp): string {
  return `${name}/out`;
}

export function topologyOf(bench: BenchApp): Topology {
  const app = topology(bench.name);
  const events = app.stream(bench.input, { key: (value) => (value as BenchEvent).key });
  const outputs =
    bench.kind === "counts"
      ? events.process({
          state: { count: valueState<number>() },
          onRecord(value, { state }) {
            const count = (state.count.get() ?? 0) + 1;
            state.count.set(count);
            return [{ ...(value as BenchEvent), count }];
          },
        })
      : events.process({
          state: { text: valueState<string>() },
          onRecord(value, { state }) {
            const { text = "", ...output } = value as BenchEvent;
            state.text.set(text);
            return [output];
          },
        });
  outputs.to(outputOf(bench));
  return app;
}
