/** The window of messages under way to a follower. */
import { describe, expect, it } from "vitest";
import { Inflights } from "../../log-server/raft/inflights.ts";
import { RAFT_LIMITS } from "../../log-server/raft/limits.ts";

describe("messages under way", () => {
  it("are bounded by number (I15)", () => {
    const inflights = new Inflights({ ...RAFT_LIMITS, inflightMessagesMax: 2 });
    inflights.add(1, 10);
    expect(inflights.full).toBe(false);
    inflights.add(2, 10);
    expect(inflights.full).toBe(true);
  });

  it("are bounded by bytes; the one that exceeds them still goes", () => {
    const inflights = new Inflights({ ...RAFT_LIMITS, inflightBytesMax: 10 });
    inflights.add(1, 9);
    expect(inflights.full).toBe(false);
    inflights.add(2, 50);
    expect(inflights.full).toBe(true);
  });

  it("are freed by what the follower has, all before it at once", () => {
    const inflights = new Inflights({ ...RAFT_LIMITS, inflightMessagesMax: 3 });
    for (const index of [3, 5, 9]) inflights.add(index, 1);
    inflights.freeTo(6);
    expect([inflights.count, inflights.bytes]).toEqual([1, 1]);
    inflights.freeTo(6);
    expect(inflights.count).toBe(1);
    inflights.freeTo(9);
    expect([inflights.count, inflights.bytes, inflights.full]).toEqual([0, 0, false]);
  });
});
