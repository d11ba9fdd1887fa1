/**
 * Flights that left more than a quarter of an hour late, per origin and hour, and by how much in the mean.
 *
 * The time of a flight is in it, in the time zone of none: it is read as UTC, for what a machine takes to be its own
 * would make other hours of it elsewhere. Flights come up to an hour out of order.
 */
import * as v from "valibot";
import { avg, combine, count, topology, type Topology, tumbling } from "../../src/operators/index.ts";

const LATE_MINUTES = 15;
const HOUR_MS = 3_600_000;

const app: Topology = topology("delayed-flights");

const flight = v.object({ date: v.string(), delay: v.number(), origin: v.string(), destination: v.string() });

app
  .stream("flights", {
    schema: flight,
    // "2001/01/14 21:55"
    timestamp: ({ date }) => Date.parse(`${date.replaceAll("/", "-").replace(" ", "T")}Z`),
    outOfOrderMs: HOUR_MS,
  })
  .filter(({ delay }) => delay > LATE_MINUTES)
  .groupBy(({ origin }) => origin)
  .window(tumbling({ sizeMs: HOUR_MS, lateTo: "flights-too-late" }))
  .aggregate(combine({ flights: count(), minutes: avg(({ delay }) => delay) }))
  .map(({ start, value }) => ({ hour: new Date(start).toISOString(), ...value }))
  .to("delayed-flights");

export default app;
