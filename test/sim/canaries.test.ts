/** A quorum that is too small is seen soon, and by general checkers (P2); whole clusters see it with every sweep. */
import { describe, expect, it } from "vitest";
import { BROKEN_QUORUMS, quorumCanary } from "./canaries.ts";

describe.each(BROKEN_QUORUMS)("$name", (broken) => {
  it("is caught among random clusters of Raft cores", async () => {
    const caught = await quorumCanary(broken, "raft").catch(1);
    expect(caught?.violation).toMatch(/^I\d+/);
  });
});
