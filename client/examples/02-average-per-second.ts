/**
 * The average per second of a file of numbers, `02-numbers.csv`: each row has a time, which counts, and not when it was appended.
 *
 * Rows may be half a second out of order; what comes later than that goes to a stream of its own. When no row has come for a
 * second, event time passes as the clock does, so that the file's last second is closed, too.
 */
import * as v from "valibot";
import { avg, topology, type Topology, tumbling } from "../../src/operators/index.ts";

const app: Topology = topology("average-per-second", { silence: "advance" });

/** CSV has texts; what the schema makes of them is what the topology gets. */
const row = v.object({ time: v.pipe(v.string(), v.isoTimestamp()), value: v.pipe(v.string(), v.toNumber()) });

app
  .stream("numbers", { schema: row, timestamp: ({ time }) => Date.parse(time), outOfOrderMs: 500, idleMs: 1_000 })
  .groupByKey()
  .window(tumbling({ sizeMs: 1_000, lateTo: "numbers-late" }))
  .aggregate(avg(({ value }) => value))
  .map(({ start, value }) => ({ second: new Date(start).toISOString(), average: value }))
  .to("averages");

export default app;
