/** Lets the first of equal records through, and the next only when none came for a while of log time. */
import type { Key } from "../encoding/key-codec.ts";
import type { Operator } from "../engine/operator.ts";
import { type AnyCallback, call } from "./callback.ts";

/** `by`: what makes records equal, together with the key. One that comes again is remembered for `ttlMs` from then on. */
export function dedupe(by: AnyCallback<Key>, ttlMs: number): Operator {
  return {
    process(item, context) {
      const { rows, logTime } = context;
      const name = call(by, item, context);
      const until = rows.get(item.key, name) as number | undefined;
      rows.put(logTime + ttlMs, item.key, name);
      if (until !== undefined) return;
      context.setTimer({ kind: "log", due: logTime + ttlMs, key: item.key, name });
      context.emit(item);
    },

    onTimer({ key, name, due }, context) {
      const until = context.rows.get(key, name) as number;
      // One timer for each: it moves when it fires, not whenever a record comes.
      if (until > due) context.setTimer({ kind: "log", due: until, key, name });
      else context.rows.delete(key, name);
    },
  };
}
