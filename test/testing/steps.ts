/** An app that reads what it writes: one step behind another. */
import { topology, type Topology } from "../../src/operators/index.ts";

export function steps(): Topology {
  const app = topology("steps");
  app
    .stream("first")
    .map((value) => Number(value) + 1)
    .to("second");
  app
    .stream("second")
    .map((value) => Number(value) * 10)
    .to("third");
  return app;
}
