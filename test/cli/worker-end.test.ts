/** What a worker says of a replica that has ended. */
import { expect, it } from "vitest";
import { workerEnd } from "../../client/cli/run/worker-end.ts";
import type { ReplicaEnd } from "../../src/runtime/replica-end.ts";

it("poison in a window's closing is said with its key and the window, for a result is missing", () => {
  const at = {
    kind: "timer",
    node: "by-hour",
    due: 7,
    key: "SFO",
    facts: [
      ["window-start", "0"],
      ["window-end", "6"],
    ],
  } as const;
  const end: ReplicaEnd = { kind: "poison", poison: { operator: "to-1", error: new Error("NaN"), at } };
  expect(workerEnd("0.0", end)?.what).toContain(
    'task 0.0: operator "to-1" failed in a timer of "by-hour" (key "SFO", due at 7, window-start 0, window-end 6): NaN',
  );
});
