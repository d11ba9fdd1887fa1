/**
 * Sessions: what each visitor looks at until there is half an hour without a click.
 *
 * A session ends by its visitor's silence, in event time; a click that comes late may join two that are open into one. For five
 * minutes after its end a session still takes clicks, and only then is it written, once.
 */
import * as v from "valibot";
import { combine, count, distinct, session, topology, type Topology } from "../../src/operators/index.ts";

const MINUTE_MS = 60_000;
const GAP_MS = 30 * MINUTE_MS;

const app: Topology = topology("sessions");

const click = v.object({ visitor: v.string(), page: v.string() });

app
  .stream("clicks", { schema: click, key: ({ visitor }) => visitor })
  .groupByKey()
  .window(session({ gapMs: GAP_MS, graceMs: 5 * MINUTE_MS, lateTo: "clicks-late" }))
  .aggregate(combine({ clicks: count(), pages: distinct(({ page }) => page) }))
  .map(({ start, end, value }) => ({ ...value, start, minutes: (end - GAP_MS - start) / MINUTE_MS }))
  .to("sessions");

export default app;
