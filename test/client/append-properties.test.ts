/**
 * Appends under arbitrary failures of the connection, with callers that give up: what each promise said must be true of
 * the stream (I7, I8). One general check, for the producer and for single appends.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { connect, type Client } from "../../client/client.ts";
import { TidemarkError } from "../../client/error.ts";
import type { AppendOptions } from "../../client/stream.ts";
import type { BatchRef } from "../../src/record/batch.ts";
import type { Request } from "../../src/wire/request.ts";
import { FakeServer } from "./fake-server.ts";
import { FakeTransport, type Fault } from "./fake-transport.ts";
import { run, turn, virtualTime, type VirtualTime } from "./virtual-time.ts";

type Step = {
  /** Appended together, in one turn. */
  readonly appends: number;
  readonly timeoutMs: number;
  /** Of the appends of this step, the one whose caller aborts after the step. */
  readonly aborts: number | undefined;
  /** Of its appends those that set no limits of their own, as bits: they share batches. */
  readonly plain: number;
  /** Of its appends those that the server never lets in, nor what travels with them. */
  readonly bad: number;
  readonly advanceMs: number;
};
type Told = { readonly value: string; offset?: number; error?: TidemarkError };

const FAULT: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fault>("none") },
  { weight: 1, arbitrary: fc.constant<Fault>("refuse") },
  { weight: 1, arbitrary: fc.constant<Fault>("lose-request") },
  { weight: 2, arbitrary: fc.constant<Fault>("lose-answer") },
  { weight: 2, arbitrary: fc.constant<Fault>("late") },
  { weight: 1, arbitrary: fc.constant<Fault>("hang") },
  { weight: 1, arbitrary: fc.constant<Fault>({ error: "overloaded" }) },
  { weight: 1, arbitrary: fc.constant<Fault>({ error: "outcome-unknown" }) },
);
const STEP: fc.Arbitrary<Step> = fc.record({
  appends: fc.integer({ min: 1, max: 5 }),
  timeoutMs: fc.constantFrom(50, 200, 1_000, 10_000),
  aborts: fc.option(fc.nat(4), { nil: undefined }),
  plain: fc.nat(31),
  bad: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(31) }),
  advanceMs: fc.constantFrom(0, 0, 10, 60, 300, 3_000),
});
const SCENARIO = fc.record({
  faults: fc.array(FAULT, { maxLength: 40 }),
  steps: fc.array(STEP, { minLength: 1, maxLength: 12 }),
});

/** A call's own attempt has ended, and that of another hangs, when its time is over: nobody was left to tell it. */
const OVER_BETWEEN_ATTEMPTS = {
  faults: ["late", "late", "none", "hang"] satisfies Fault[],
  steps: [
    { appends: 2, timeoutMs: 50, aborts: undefined, plain: 2, bad: 7, advanceMs: 0 },
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 7, bad: 0, advanceMs: 0 },
  ],
};
/** The last word that a call had is of another's failure, and its time is over by then: it is told, and not sent for ever. */
const OVER_BEFORE_A_GAP = {
  faults: ["none", "none", "hang"] satisfies Fault[],
  steps: [
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 0, bad: 0, advanceMs: 0 },
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 0, bad: 0, advanceMs: 0 },
    { appends: 3, timeoutMs: 10_000, aborts: 0, plain: 4, bad: 11, advanceMs: 0 },
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 0, bad: 0, advanceMs: 3_000 },
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 0, bad: 0, advanceMs: 3_000 },
    { appends: 1, timeoutMs: 50, aborts: undefined, plain: 0, bad: 0, advanceMs: 0 },
  ],
};
const BAD = "bad";

function batchesOf(request: Request): readonly BatchRef[] {
  if (request.kind !== "command") return [];
  const { command } = request;
  if (command.kind === "append-run") return command.batches;
  return command.kind === "append" && command.batch !== undefined ? [command.batch] : [];
}

type Append = (value: string, options: AppendOptions) => Promise<number>;

async function play(
  scenario: { readonly faults: readonly Fault[]; readonly steps: readonly Step[] },
  appender: (client: Client, time: VirtualTime) => Append,
): Promise<{ readonly told: readonly Told[]; readonly contents: readonly string[] }> {
  const time = virtualTime();
  const server = new FakeServer();
  server.create("s");
  const handle = server.handle.bind(server);
  server.handle = (request) =>
    batchesOf(request).some(({ bytes }) => new TextDecoder().decode(bytes).includes(BAD))
      ? { kind: "error", position: server.position, code: "malformed-json", message: BAD }
      : handle(request);
  const transport = new FakeTransport(server, time.environment.clock);
  transport.faults.push(...scenario.faults);
  const client = connect("http://fake", { transport, environment: time.environment, timeout: 5_000 });
  const append = appender(client, time);
  const told: Told[] = [];
  const settled: Promise<void>[] = [];
  for (const step of scenario.steps) {
    const controllers: AbortController[] = [];
    for (let at = 0; at < step.appends; at += 1) {
      const entry: Told = { value: `${(step.bad & (1 << at)) === 0 ? "r" : BAD}${told.length}` };
      const controller = new AbortController();
      controllers.push(controller);
      told.push(entry);
      settled.push(
        append(
          entry.value,
          (step.plain & (1 << at)) === 0 ? { signal: controller.signal, timeout: step.timeoutMs } : {},
        ).then(
          (offset) => {
            entry.offset = offset;
          },
          (error: unknown) => {
            entry.error = error as TidemarkError;
          },
        ),
      );
    }
    await turn();
    if (step.aborts !== undefined) controllers[step.aborts]?.abort();
    time.clock.advance(step.advanceMs);
    await turn();
  }
  await run(time, Promise.all(settled));
  // What was given up may still be under way for the others' sake; let all of it end.
  while (time.clock.advanceToNext()) await turn();
  return { told, contents: server.contents("s") };
}

function checkTold(told: readonly Told[], contents: readonly string[]): void {
  expect(new Set(contents).size).toBe(contents.length);
  for (const { value, offset, error } of told) {
    const at = contents.indexOf(value);
    if (offset !== undefined) expect(at).toBe(offset);
    else {
      expect(error).toBeInstanceOf(TidemarkError);
      if (error?.outcome === "not-applied") expect(at).toBe(-1);
      else expect(error?.outcome).toBe("unknown");
    }
  }
  const order = told.map(({ value }) => value).filter((value) => contents.includes(value));
  expect(contents).toEqual(order);
}

describe("appends under failures", () => {
  it("single appends: applied once, in the order of the calls, as each promise says", async () => {
    await fc.assert(
      fc.asyncProperty(SCENARIO, async (scenario) => {
        const { told, contents } = await play(scenario, (client) => async (value, options) => {
          const { offset } = await client.stream("s").append(value, options);
          return offset;
        });
        checkTold(told, contents);
      }),
      { numRuns: 600, examples: [[OVER_BETWEEN_ATTEMPTS], [OVER_BEFORE_A_GAP]] },
    );
  });

  it("the producer: besides, what is in the stream has no hole", async () => {
    await fc.assert(
      fc.asyncProperty(SCENARIO, fc.constantFrom(20, 40, 1_000), async (scenario, batchBytes) => {
        const { told, contents } = await play(scenario, (client) => {
          const producer = client.stream("s").producer({ batchBytes, timeout: 2_000 });
          return (value) => producer.append(value);
        });
        checkTold(told, contents);
        expect(contents).toEqual(told.slice(0, contents.length).map(({ value }) => value));
      }),
      { numRuns: 600 },
    );
  });
});
