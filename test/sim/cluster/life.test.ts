/** A few short lives of whole clusters with every test run; `npm run sim` has many long ones. */
import { describe, expect, it, vi } from "vitest";
import { kindOf, liveOnce } from "./life.ts";
import { PROFILES } from "./profiles.ts";
import { StreamHistory } from "./stream-history.ts";

const SHORT = { profile: PROFILES.safety, durationMs: 5_000 };

describe("a cluster and its clients under every fault at once", () => {
  it.each([1, 2, 3])("keeps every promise: seed %i", async (seed) => {
    expect((await liveOnce(seed, SHORT)).violation).toBeUndefined();
  });

  it.each(["churn", "laggards", "versions", "operators"] as const)(
    "keeps every promise where there is most of one kind: %s",
    async (name) => {
      expect((await liveOnce(1, { profile: PROFILES[name], durationMs: 4_000 })).violation).toBeUndefined();
    },
  );

  it("does the same again, byte for byte", async () => {
    const [once, again] = [await liveOnce(4, SHORT), await liveOnce(4, SHORT)];
    expect(again.lines).toEqual(once.lines);
    expect(again.trace).toBe(once.trace);
    expect(once.lines.filter((line) => / leads term \d+$/.test(line)).length).toBeGreaterThan(0);
    expect(once.lines.filter((line) => line.includes(" is acknowledged at ")).length).toBeGreaterThan(10);
  });

  it("does not seem to do the same again where one byte of one record is another", async () => {
    const once = await liveOnce(4, SHORT);
    // oxlint-disable-next-line typescript/unbound-method -- applied to whom it is called of
    const { sent } = StreamHistory.prototype;
    const tampered = vi.spyOn(StreamHistory.prototype, "sent").mockImplementationOnce(function (
      this: StreamHistory,
      session,
      text,
    ) {
      return Reflect.apply(sent, this, [session, `${text.slice(0, -1)}z`]);
    });
    const again = await liveOnce(4, SHORT);
    tampered.mockRestore();
    expect(again.lines).toEqual(once.lines);
    expect(again.trace).not.toBe(once.trace);
  });

  it("would be found out if syncs did nothing", async () => {
    const fault = { kind: "kill-all", keep: "none", downMs: 100 } as const;
    const { violation } = await liveOnce(1, { ...SHORT, lyingSyncs: true, faults: [{ atMs: 2_000, fault }] });
    expect(violation).toBeDefined();
    expect((await liveOnce(1, { ...SHORT, faults: [{ atMs: 2_000, fault }] })).violation).toBeUndefined();
  });
});

describe("what is made shorter is the same violation", () => {
  it.each([
    ["I5: record 12 of shared is gone", "I5: record 99 of own is gone", true],
    ["I5: record 12 of shared is gone", "I13: damage on disks that nobody damaged", false],
    ["I1: n1 and n2 both lead term 3", "I10: after entry 4, n1 has another state than n2", false],
    ["P12: looker-0 shows 3 records", "P2: looker-0 shows 3 records", false],
    [
      "liveness: not within 90000 ms: all clients are answered",
      "liveness: not within 30000 ms: all nodes serve",
      false,
    ],
    [
      "liveness: not within 30000 ms: acknowledged without n5",
      "liveness: not within 90000 ms: acknowledged without n1",
      true,
    ],
    [
      "n3 failed, and nothing was in its way\n  because: a",
      "n1 failed, and nothing was in its way\n  because: b",
      true,
    ],
  ])("%s / %s: %s", (one, other, same) => {
    expect(kindOf(one) === kindOf(other)).toBe(same);
  });
});
