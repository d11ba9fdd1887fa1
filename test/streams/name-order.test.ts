/** W120, W121: names in order, and listings page by page. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import type { Command } from "../../src/wire/command.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import { NameOrder } from "../../log-server/streams/name-order.ts";

/** Few letters, so that prefixes are shared. */
const name = fc.string({ unit: fc.constantFrom("a", "b", "/", "é", "🌊"), minLength: 1, maxLength: 6 });

describe("names in order", () => {
  it("are those that were added and not removed, sorted", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ name, keep: fc.boolean() }), { maxLength: 200 }),
        fc.string({ unit: fc.constantFrom("a", "b", "/", "é"), maxLength: 2 }),
        fc.oneof(fc.constant(""), name),
        (changes, prefix, after) => {
          const order = new NameOrder();
          const known = new Set<string>();
          for (const { name, keep } of changes) {
            if (known.has(name) === keep) continue;
            if (keep) order.add(name);
            else order.remove(name);
            if (keep) known.add(name);
            else known.delete(name);
          }
          const expected = [...known].filter((name) => name.startsWith(prefix) && name > after).sort();
          expect([...order.names(prefix, after)]).toEqual(expected);
        },
      ),
    );
  });

  it("stay in order over many runs, whatever order they come and go in", () => {
    const names = Array.from({ length: 5_000 }, (_, place) => `n${(place * 7_919) % 5_000}`);
    const order = new NameOrder();
    for (const name of names) order.add(name);
    expect([...order.names("", "")]).toEqual([...names].sort());
    for (const name of names.slice(0, 4_000)) order.remove(name);
    expect([...order.names("", "")]).toEqual(names.slice(4_000).sort());
    for (const name of names.slice(4_000)) order.remove(name);
    expect([...order.names("", "")]).toEqual([]);
  });

  it("are each there once", () => {
    const order = new NameOrder();
    order.add("a");
    expect(() => order.add("a")).toThrow(InvariantError);
    expect(() => order.remove("b")).toThrow(InvariantError);
  });
});

describe("listings", () => {
  const create = (stream: string): Command => ({ kind: "create", stream, closed: false });

  function machineWith(...entries: readonly (readonly Command[])[]): StreamsMachine {
    const machine = new StreamsMachine(STREAMS_LIMITS);
    entries.forEach((commands, place) => machine.apply({ index: place + 1, logTime: 1 }, commands));
    return machine;
  }

  function pages(machine: StreamsMachine, prefix: string, limit: number): string[][] {
    const found: string[][] = [];
    for (let after: string | undefined = ""; after !== undefined;) {
      const page: ReturnType<StreamsMachine["list"]> = machine.list(prefix, after, limit);
      found.push(page.streams.map((stream) => stream.name));
      after = page.next;
    }
    return found;
  }

  it("come page by page, with nothing left out or told twice", () => {
    const machine = machineWith(["b/2", "a", "b/1", "c", "b", "b/3"].map(create));
    expect(pages(machine, "", 4)).toEqual([
      ["a", "b", "b/1", "b/2"],
      ["b/3", "c"],
    ]);
    expect(pages(machine, "b/", 3)).toEqual([["b/1", "b/2", "b/3"]]);
    expect(pages(machine, "b/", 1)).toEqual([["b/1"], ["b/2"], ["b/3"]]);
    expect(pages(machine, "x", 1)).toEqual([[]]);
  });

  it("know nothing of a transaction that was taken back", () => {
    const machine = machineWith(
      [create("a")],
      [
        {
          kind: "transaction",
          conditions: [],
          operations: [
            { kind: "delete", stream: "a" },
            { kind: "create", stream: "b", closed: false },
            { kind: "delete", stream: "none" },
          ],
        },
      ],
    );
    expect(pages(machine, "", 10)).toEqual([["a"]]);
  });

  it("leave out what is deleted and kept for its forks, and go on behind it", () => {
    const machine = machineWith(
      [create("a"), create("b"), create("c")],
      [{ kind: "create", stream: "d", closed: false, fork: { source: "b", incarnation: 1, partialBytes: 0 } }],
      [{ kind: "delete", stream: "b" }],
    );
    expect(machine.stream("b")).toMatchObject({ deleted: true });
    expect(pages(machine, "", 2)).toEqual([["a"], ["c", "d"]]);
  });

  it("are the same of a machine that was restored from its rows (I10)", () => {
    const machine = machineWith(["z", "m", "a"].map(create));
    const restored = StreamsMachine.restore(machine.rows(), STREAMS_LIMITS);
    if (!restored.ok) throw new Error(restored.error);
    expect(pages(restored.value, "", 2)).toEqual([["a", "m"], ["z"]]);
  });
});
