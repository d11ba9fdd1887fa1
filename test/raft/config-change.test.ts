/** Changes of the configuration, and its bytes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  changedConfiguration,
  finishedConfiguration,
  type MembershipChange,
  promotedConfiguration,
} from "../../log-server/raft/config-change.ts";
import { decodeConfiguration, encodeConfiguration } from "../../log-server/raft/configuration-codec.ts";
import { type Configuration, configurationOf, isJoint, membersOf } from "../../log-server/raft/configuration.ts";
import { MEMBERS_MAX } from "../../log-server/raft/limits.ts";

const THREE = configurationOf(["a", "b", "c"]);

function changed(current: Configuration, ...changes: MembershipChange[]): Configuration | string {
  const result = changedConfiguration(current, changes);
  return result.ok ? result.value : result.error;
}

describe("a change", () => {
  it("adds a learner at once, whatever it is to be", () => {
    expect(changed(THREE, { kind: "add", node: "d", as: "voter" })).toEqual({
      ...THREE,
      learners: [{ id: "d", wanted: "voter" }],
    });
  });

  it("of who votes is joint, and has an end (P17)", () => {
    const joint = changed(THREE, { kind: "remove", node: "a" }, { kind: "demote", node: "b" });
    expect(joint).toEqual({ voters: ["c"], outgoing: ["a", "b", "c"], learners: [], demoted: ["b"] });
    expect(finishedConfiguration(joint as Configuration)).toEqual({
      voters: ["c"],
      outgoing: [],
      learners: [{ id: "b", wanted: "learner" }],
      demoted: [],
    });
  });

  it("promotes learners through a joint configuration", () => {
    const four = changed(THREE, { kind: "add", node: "d", as: "voter" }) as Configuration;
    expect(promotedConfiguration(four, ["d"])).toEqual({
      voters: ["a", "b", "c", "d"],
      outgoing: ["a", "b", "c"],
      learners: [],
      demoted: [],
    });
  });

  it.each<[string, readonly MembershipChange[]]>([
    ["already-member", [{ kind: "add", node: "a", as: "voter" }]],
    [
      "already-member",
      [
        { kind: "remove", node: "a" },
        { kind: "add", node: "a", as: "learner" },
      ],
    ],
    ["not-member", [{ kind: "remove", node: "d" }]],
    ["not-voter", [{ kind: "demote", node: "d" }]],
    ["no-voters", ["a", "b", "c"].map((node) => ({ kind: "remove", node }) as const)],
    [
      "too-many",
      Array.from({ length: MEMBERS_MAX }, (_, place) => ({ kind: "add", node: `n${place}`, as: "learner" }) as const),
    ],
  ])("is refused as %s", (error, changes) => {
    expect(changed(THREE, ...changes)).toBe(error);
  });

  it("is refused while another one is under way", () => {
    const joint = changed(THREE, { kind: "remove", node: "a" }) as Configuration;
    expect(changed(joint, { kind: "remove", node: "b" })).toBe("change-under-way");
  });

  it("keeps every configuration well-formed, whatever is asked for", () => {
    const change = fc.record({
      kind: fc.constantFrom("add" as const, "demote" as const, "remove" as const),
      node: fc.constantFrom("a", "b", "c", "d", "e"),
      as: fc.constantFrom("voter" as const, "learner" as const),
    });
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 8 }), (rounds) => {
        let current = THREE;
        for (const changes of rounds) {
          const next = changedConfiguration(current, changes);
          if (!next.ok) continue;
          for (const configuration of isJoint(next.value)
            ? [next.value, finishedConfiguration(next.value)]
            : [next.value]) {
            expect(decodeConfiguration(encodeConfiguration(configuration))).toEqual({ ok: true, value: configuration });
            current = configuration;
          }
          const ready = current.learners.filter(({ wanted }) => wanted === "voter").map(({ id }) => id);
          if (ready.length > 0) current = finishedConfiguration(promotedConfiguration(current, ready));
          expect(new Set(membersOf(current)).size).toBe(membersOf(current).length);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("its bytes", () => {
  it("are these", () => {
    const configuration = {
      ...THREE,
      outgoing: ["a", "x"],
      learners: [{ id: "l", wanted: "voter" as const }],
      demoted: ["x"],
    };
    expect(Buffer.from(encodeConfiguration(configuration)).toString("hex")).toBe(
      "01" + "03016101620163" + "0201610178" + "01016c01" + "010178",
    );
    expect(decodeConfiguration(encodeConfiguration(configuration))).toEqual({ ok: true, value: configuration });
  });

  it.each([
    ["no voters", "0100000000"],
    ["another version", "02" + "01" + "0161" + "000000"],
    ["voters not sorted", "01" + "0201620161" + "000000"],
    ["a voter twice", "01" + "0201610161" + "000000"],
    ["a voter that learns", "01" + "010161" + "00" + "01016100" + "00"],
    ["a demoted one that was no voter", "01" + "010161" + "00" + "00" + "010162"],
    ["an empty name", "01" + "0100" + "000000"],
    ["an unknown role", "01" + "010161" + "00" + "01016202" + "00"],
    ["too much", "01" + "010161" + "000000" + "00"],
    ["too little", "01" + "010161" + "0000"],
    ["nothing", ""],
  ])("are refused with %s", (_, hex) => {
    expect(decodeConfiguration(new Uint8Array(Buffer.from(hex, "hex")))).toEqual({ ok: false, error: "malformed" });
  });
});
