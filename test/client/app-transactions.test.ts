/** An app with more streams than one transaction deletes: reset or deleted in several, on the state machine itself. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { appTransactions } from "../../client/apps/app-transactions.ts";
import { CLIENT_LIMITS } from "../../client/limits.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { snapshotsStream } from "../../src/wire/app-streams.ts";
import { Driver } from "../streams/driver.ts";

const OPERATIONS_MAX = 4;
const START = { position: 0, ordinal: 0, index: 0 };
const RESET = { kind: "app-reset", app: "x", tasks: [{ task: "0.0", start: START }] } as const;
const DELETE = { kind: "app-delete", app: "x" } as const;

/** Some of its snapshots may only go once it is reset: input was trimmed on them. */
function deployed(streams: readonly string[], paused: boolean): Driver {
  const driver = Driver.limited({ transactionOperationsMax: OPERATIONS_MAX });
  const tasks = [{ task: "0.0", inputs: ["in"] }];
  const put = driver.run({ kind: "app-put", app: "x", version: 1, tasks, description: "", options: "", shape: [] });
  if (put.kind !== "app-epoch") throw new Error("not deployed");
  for (const stream of streams) driver.create(stream);
  driver.append(streams.at(-1) as string, 3);
  const who = { app: "x", task: "0.0", epoch: put.epoch, replica: "r", manifest: 1 };
  const point = { records: 1, logTime: 1, state: 1n, outputs: 1n };
  expect(driver.run({ kind: "task-snapshot", ...who, neededFrom: 0, point, verified: true }).kind).toBe("done");
  expect(driver.run({ kind: "task-trimmed", ...who }).kind).toBe("done");
  driver.run({ kind: "app-state", app: "x", paused });
  return driver;
}

it("all that is named goes, however many it is, and until the end the app is there and commits nothing", () => {
  fc.assert(
    fc.property(fc.nat(14), fc.boolean(), fc.constantFrom(RESET, DELETE), (count, paused, command) => {
      const streams = [...Array.from({ length: count }, (_, at) => `s${at}`), snapshotsStream("x", "0.0")];
      const driver = deployed(streams, paused);
      const before = driver.machine.app("x")?.epoch as number;
      const transactions = appTransactions(command, streams, paused, OPERATIONS_MAX);
      for (const [place, operations] of transactions.entries()) {
        expect(driver.run({ kind: "transaction", conditions: [], operations }).kind).toBe("transaction");
        if (place < transactions.length - 1) expect(driver.machine.app("x")?.paused).toBe(true);
      }
      expect(streams.filter((stream) => driver.machine.stream(stream) !== undefined)).toEqual([]);
      if (command === DELETE) expect(driver.machine.app("x")).toBeUndefined();
      else {
        expect(driver.machine.app("x")).toMatchObject({ paused });
        expect(driver.machine.app("x")?.epoch).toBeGreaterThan(before);
      }
      if (count + 2 <= OPERATIONS_MAX) expect(transactions.length).toBe(1);
    }),
  );
});

it("as many operations as the server takes go together", () => {
  expect(CLIENT_LIMITS.transactionOperationsMax).toBe(STREAMS_LIMITS.transactionOperationsMax);
});
