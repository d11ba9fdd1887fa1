/**
 * The last value of each sensor, which is cleared when the sensor has been silent for ten seconds.
 *
 * State and timers of one's own: each key has its value, and a timer that is due ten seconds of log time after it. The output
 * is a table, as it may be read by another topology: a record is the key's newest value, one without a value deletes it.
 */
import * as v from "valibot";
import { topology, type Topology, valueState } from "../../src/operators/index.ts";

const SILENT_MS = 10_000;

const app: Topology = topology("last-value");

const reading = v.object({ sensor: v.string(), celsius: v.number() });

app
  .stream("readings", { schema: reading, key: ({ sensor }) => sensor })
  .process({
    state: { silentAt: valueState<number>() },

    onRecord({ celsius }, { logTime, state, timers }) {
      const before = state.silentAt.get();
      if (before !== undefined) timers.clearLog(before);
      state.silentAt.set(logTime + SILENT_MS);
      timers.log(logTime + SILENT_MS);
      return [celsius];
    },

    onTimer(_timer, { state }) {
      state.silentAt.clear();
      return [null];
    },
  })
  .to("last-values");

export default app;
