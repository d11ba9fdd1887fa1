/** Reads that wait for their point are answered or refused, and not for ever (I15, P13). */
import { describe, expect, it } from "vitest";
import { Barriers } from "../../log-server/node/consensus/barriers.ts";
import { NODE_LIMITS } from "../../log-server/node/limits.ts";
import { ok } from "../../src/lib/result.ts";
import { SimClock } from "../../src/sim/clock.ts";

const LIMITS = { ...NODE_LIMITS, barrierMsMax: 1_000, barriersMax: 3 };

function started(): {
  clock: SimClock;
  barriers: Barriers;
  ask: (name: string, patient?: boolean) => number;
  told: string[];
} {
  const clock = new SimClock();
  const barriers = new Barriers({ limits: LIMITS, clock });
  const told: string[] = [];
  const ask = (name: string, patient?: boolean): number => {
    let context = 0;
    barriers
      .ask((given) => {
        context = given;
        return ok(undefined);
      }, patient)
      .then(
        () => told.push(name),
        (error: unknown) => told.push(`${name} ${(error as { code: string }).code}`),
      );
    return context;
  };
  return { clock, barriers, ask, told };
}

async function passed(clock: SimClock, milliseconds: number): Promise<void> {
  clock.advance(milliseconds);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("barriers", () => {
  it("are refused where the leader gives no word, or this node does not get on with applying", async () => {
    const { clock, barriers, ask, told } = started();
    ask("asked");
    barriers.confirmed(ask("behind"), 7, 6);
    await passed(clock, 999);
    expect(told).toEqual([]);
    await passed(clock, 1);
    expect(told.sort()).toEqual(["asked unavailable", "behind unavailable"]);
    barriers.applied(7);
    // There is room again.
    for (const name of ["a", "b", "c"]) ask(name);
    ask("d");
    await passed(clock, 0);
    expect(told.slice(2)).toEqual(["d overloaded"]);
  });

  it("wait each for its own time, a patient one for as long as it takes", async () => {
    const { clock, barriers, ask, told } = started();
    ask("first");
    await passed(clock, 600);
    barriers.confirmed(ask("second"), 7, 6);
    barriers.confirmed(ask("patient", true), 7, 6);
    await passed(clock, 400);
    expect(told).toEqual(["first unavailable"]);
    await passed(clock, 1_000);
    expect(told).toEqual(["first unavailable", "second unavailable"]);
    await passed(clock, 60_000);
    barriers.applied(7);
    await passed(clock, 0);
    expect(told).toEqual(["first unavailable", "second unavailable", "patient"]);
  });
});
