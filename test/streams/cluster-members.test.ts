/** Who belongs to the cluster, as rows: kept over a restart, and a known disk is not exchanged unnoticed (P33, W170, W171). */
import { describe, expect, it } from "vitest";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import type { Row } from "../../src/record/row.ts";
import type { Command, CommandResult } from "../../src/wire/command.ts";

const DONE = { kind: "done" } as const;
const HEAD = Uint8Array.of(1, 2, 3);

function member(disk: string, node = "n1", port = 1): Command {
  return { kind: "member-set", node, disk, host: "h", port };
}

class World {
  readonly machine = new StreamsMachine(STREAMS_LIMITS);
  readonly #rows = new Map<string, Row>();

  run(...commands: Command[]): readonly CommandResult[] {
    return this.machine.apply({ index: this.machine.position + 1, logTime: 1 }, commands).results;
  }

  /** What the rows bring back, which is the same to the last bit. */
  restored(): StreamsMachine {
    for (const { key, value } of this.machine.drainChanges()) {
      const name = Buffer.from(key).toString("hex");
      if (value === undefined) this.#rows.delete(name);
      else this.#rows.set(name, [key, value]);
    }
    // A first image and a snapshot bring every row, later images what has changed: they must be the same (P25, P26).
    const changed = new Map([...this.#rows].map(([name, [, value]]) => [name, value]));
    expect(new Map([...this.machine.rows()].map(([key, value]) => [Buffer.from(key).toString("hex"), value]))).toEqual(
      changed,
    );
    const machine = StreamsMachine.restore(this.#rows.values(), STREAMS_LIMITS);
    if (!machine.ok) throw new Error(machine.error);
    expect(machine.value.digest()).toBe(this.machine.digest());
    return machine.value;
  }
}

describe("members", () => {
  it("are there after a restart, and gone when they were removed", () => {
    const world = new World();
    world.run(member("d2", "n2", 2), member("d1"));
    const members = [
      { node: "n1", disk: "d1", host: "h", port: 1 },
      { node: "n2", disk: "d2", host: "h", port: 2 },
    ];
    expect(world.restored().members).toEqual(members);
    expect(world.run({ kind: "member-remove", node: "n1" }, { kind: "member-remove", node: "n7" })).toEqual([
      { kind: "done" },
      { kind: "done" },
    ]);
    expect(world.restored().members).toEqual(members.slice(1));
  });

  it("keep a disk that is known, until it is given up", () => {
    const world = new World();
    world.run(member("d1"));
    expect(world.run(member("d9"))[0]).toMatchObject({ kind: "rejected", code: "condition-failed" });
    expect(world.run(member("d1", "n1", 7))[0]).toEqual({ kind: "done" });
    expect(world.machine.members).toEqual([{ node: "n1", disk: "d1", host: "h", port: 7 }]);
    expect(world.run(member(""), member("d9"), member("d1"))).toMatchObject([
      { kind: "done" },
      { kind: "done" },
      { kind: "rejected" },
    ]);
    expect(world.machine.members[0]?.disk).toBe("d9");
  });

  it("are as they were meant, or what was meant for another disk is refused (W170)", () => {
    const world = new World();
    const set = (was: string | null, disk: string): Command => ({ ...member(disk), was }) as Command;
    const refused = { kind: "rejected", code: "condition-failed" };
    expect(world.run(set("d1", "d2"), set(null, "d1"), set(null, ""))).toMatchObject([refused, DONE, refused]);
    expect(world.run(set("d1", ""), set("", "d2"))).toEqual([DONE, DONE]);
    // Replaced long ago: the new disk is not given up for it.
    expect(world.run(set("d1", ""), { kind: "member-remove", node: "n1", was: "d1" })).toMatchObject([
      refused,
      refused,
    ]);
    expect(world.restored().members).toMatchObject([{ node: "n1", disk: "d2" }]);
    expect(world.run({ kind: "member-remove", node: "n1", was: "d2" }, set("d2", "d3"))).toMatchObject([DONE, refused]);
    expect(world.restored().members).toEqual([]);
  });

  it("that were removed or replaced are known by their disks, once the log says so (W190)", () => {
    const world = new World();
    world.run(member("before"), { kind: "member-remove", node: "n1" });
    expect(world.machine.isFormerDisk("before")).toBe(false);
    world.run({ kind: "feature-level", level: 2 }, member("d1"), member(""), member("d2", "n2", 2), member("d3"));
    world.run({ kind: "member-remove", node: "n2" });
    const former = (): string[] => ["d1", "d2", "d3", ""].filter((disk) => world.restored().isFormerDisk(disk));
    expect(former()).toEqual(["d1", "d2"]);
    // It is back.
    world.run(member("d2", "n2", 2));
    expect(former()).toEqual(["d1"]);
    // Of very many the oldest are forgotten (I15).
    for (let place = 0; place < STREAMS_LIMITS.formerDisksMax; place += 1)
      world.run(member(`x${place}`, "n9"), { kind: "member-remove", node: "n9" });
    expect(world.restored().isFormerDisk("d1")).toBe(false);
    expect(world.restored().isFormerDisk("x0")).toBe(true);
  });

  it("are bounded, and so are their texts (I15)", () => {
    const world = new World();
    const many = Array.from({ length: STREAMS_LIMITS.membersMax }, (_, place) => member("d", `n${place}`));
    expect(world.run(...many).every(({ kind }) => kind === "done")).toBe(true);
    expect(world.run(member("d", "one-more"))[0]).toMatchObject({ code: "too-many" });
    for (const bad of [member("d", ""), member("d", "n".repeat(256)), member("d".repeat(256))])
      expect(world.run(bad)[0]).toMatchObject({ code: "malformed-name" });
  });
});

describe("the configuration", () => {
  it("that was applied last is kept, and nothing else of Raft's", () => {
    const world = new World();
    world.machine.apply({ index: 1, logTime: 1, kind: "noop", head: HEAD }, []);
    expect(world.restored().configuration).toHaveLength(0);
    world.machine.apply({ index: 2, logTime: 1, kind: "configuration", head: Uint8Array.of(9) }, []);
    world.machine.apply({ index: 3, logTime: 1, kind: "configuration", head: HEAD }, []);
    expect(world.restored().configuration).toEqual(HEAD);
    expect(world.restored().position).toBe(3);
  });
});

describe("the feature level", () => {
  it("only rises, and is there after a restart (W191)", () => {
    const world = new World();
    expect(world.restored().featureLevel).toBe(0);
    for (const [level, then] of [
      [2, 2],
      [1, 2],
      [7, 7],
    ] as const) {
      expect(world.run({ kind: "feature-level", level })).toEqual([{ kind: "done" }]);
      expect(world.restored().featureLevel).toBe(then);
    }
  });
});
