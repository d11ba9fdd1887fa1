/** Work that is done again and again: never twice at once, whatever becomes of a round, and over when it is stopped (I15). */
import { describe, expect, it } from "vitest";
import { Rounds } from "../../log-server/node/rounds.ts";
import { SimClock } from "../../src/sim/clock.ts";

type World = {
  readonly clock: SimClock;
  readonly rounds: Rounds;
  /** When each round began. */
  readonly begun: readonly number[];
  readonly told: readonly string[];
  /** Ends the round under way. */
  end: (error?: Error) => Promise<void>;
  passed: (milliseconds: number) => Promise<void>;
};

function world(): World {
  const clock = new SimClock();
  const begun: number[] = [];
  const told: string[] = [];
  let settle: ((error?: Error) => void) | undefined;
  const rounds = new Rounds(clock, {
    everyMs: 100,
    work: () =>
      new Promise<void>((resolve, reject) => {
        expect(settle).toBeUndefined();
        begun.push(clock.monotonic());
        settle = (error) => {
          settle = undefined;
          if (error === undefined) resolve();
          else reject(error);
        };
      }),
    failed: (error) => told.push(String(error)),
  });
  const passed = (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    return turn();
  };
  const end = (error?: Error): Promise<void> => {
    settle?.(error);
    return turn();
  };
  return { clock, rounds, begun, told, end, passed };
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("rounds", () => {
  it("come so long after the end of the one before, however long that took", async () => {
    const { rounds, begun, end, passed } = world();
    rounds.start();
    expect(rounds.underWay).toBe(false);
    await passed(99);
    expect(begun).toEqual([]);
    await passed(1);
    expect(rounds.underWay).toBe(true);
    await passed(1_000);
    expect(begun).toEqual([100]);
    await end();
    expect(rounds.underWay).toBe(false);
    await passed(100);
    expect(begun).toEqual([100, 1_200]);
  });

  it("begin at once, or after another time than later ones, where that is asked for", async () => {
    const atOnce = world();
    atOnce.rounds.start(0);
    expect(atOnce.begun).toEqual([0]);
    const { rounds, begun, end, passed } = world();
    rounds.start(7);
    await passed(7);
    await end();
    await passed(100);
    expect(begun).toEqual([7, 107]);
  });

  it("go on after one that failed, and say so, also where the work throws before it gives a promise", async () => {
    const { rounds, begun, told, end, passed } = world();
    rounds.start(0);
    await end(new Error("no answer"));
    await passed(100);
    expect(begun).toEqual([0, 100]);
    expect(told).toEqual(["Error: no answer"]);

    const clock = new SimClock();
    const failures: unknown[] = [];
    const thrown = new Error("thrown");
    const other = new Rounds(clock, {
      everyMs: 10,
      work: () => {
        throw thrown;
      },
      failed: (error) => failures.push(error),
    });
    other.start(0);
    await turn();
    clock.advance(10);
    expect(failures).toEqual([thrown, thrown]);
  });

  it("come early when asked to: in place of the one that was due, or once behind the one under way", async () => {
    const { rounds, begun, end, passed } = world();
    rounds.start();
    await passed(40);
    rounds.again();
    expect(begun).toEqual([40]);
    rounds.again();
    rounds.again();
    await end();
    expect(begun).toEqual([40, 40]);
    await end();
    await passed(99);
    expect(begun).toEqual([40, 40]);
    await passed(1);
    expect(begun).toEqual([40, 40, 140]);
  });

  it("end with the one under way, for which whoever stops them waits", async () => {
    const { rounds, begun, end, passed } = world();
    rounds.start(0);
    rounds.again();
    let stopped = false;
    const stopping = rounds.stop().then(() => (stopped = true));
    expect(rounds.stopped).toBe(true);
    await turn();
    expect(stopped).toBe(false);
    await end();
    await stopping;
    rounds.again();
    await passed(1_000);
    expect(begun).toEqual([0]);
  });

  it("do not begin where they are stopped before", async () => {
    const { clock, rounds, begun } = world();
    rounds.start();
    await rounds.stop();
    expect(clock.nextDueMs).toBeUndefined();
    expect(begun).toEqual([]);
  });
});
