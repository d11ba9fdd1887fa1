/** A run: nothing that its appends are not one by one (I8, I9; W180 to W182). */
import { describe, expect, it } from "vitest";
import { shareOut } from "../../client/appending/run-answers.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { StreamsMachine } from "../../log-server/streams/machine.ts";
import type { AppendCommand, AppendRunCommand, Command, CommandResult } from "../../src/wire/command.ts";
import { append, batchOf, Driver, rowTexts, tag } from "./driver.ts";
import { randomEntries, TIGHT } from "./random-entries.ts";

function run(sequence: number, spans: readonly number[], more: Partial<AppendRunCommand> = {}): AppendRunCommand {
  return {
    kind: "append-run",
    stream: "a",
    producer: { id: "p", epoch: 0, sequence },
    batches: spans.map(batchOf),
    ...more,
  };
}

function singles({ batches, producer, ...rest }: AppendRunCommand): AppendCommand[] {
  return batches.map((batch, place) => ({
    ...rest,
    kind: "append",
    batch,
    close: false,
    producer: { ...producer, sequence: producer.sequence + place },
  }));
}

/** What an append's answer says of it, whatever was applied behind it. */
function gistOf(result: CommandResult): unknown {
  if (result.kind === "rejected") return result.code;
  if (result.kind !== "appended") return result;
  const { tail: _tail, producer: _producer, ...gist } = result;
  return gist;
}

function fateOf(result: CommandResult): string {
  return result.kind === "appended" && result.duplicate ? "duplicate" : result.kind;
}

function shared(command: AppendRunCommand, result: CommandResult | undefined): readonly CommandResult[] {
  if (result?.kind !== "appended-run") throw new Error("a run was answered otherwise");
  const answers = shareOut(result, command.batches);
  if (answers === undefined) throw new Error("the answer does not fit the run");
  return answers;
}

function withStream(): Driver {
  const driver = new Driver();
  driver.create("a");
  return driver;
}

describe("a run", () => {
  it("equals its appends one by one: in the rows, in what is placed, and in each answer", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 150; seed += 1) {
      const together = new StreamsMachine(TIGHT);
      const apart = new StreamsMachine(TIGHT);
      for (const entry of randomEntries(seed, 60, TIGHT)) {
        const flat = entry.commands.flatMap((command): readonly Command[] =>
          command.kind === "append-run" ? singles(command) : [command],
        );
        const one = together.apply(entry, entry.commands);
        const other = apart.apply(entry, flat);
        const answers = entry.commands.flatMap((command, place): readonly CommandResult[] => {
          const result = one.results[place] as CommandResult;
          if (command.kind !== "append-run") return [result];
          const shares = shared(command, result);
          for (const [at, share] of shares.entries())
            if (at > 0) seen.add(`${fateOf(shares[at - 1] as CommandResult)}, ${fateOf(share)}`);
          return shares;
        });
        expect(answers.map(gistOf)).toEqual(other.results.map(gistOf));
        expect({ ...one, results: [] }).toEqual({ ...other, results: [] });
      }
      expect(rowTexts(together.rows())).toEqual(rowTexts(apart.rows()));
      expect(together.digest()).toBe(apart.digest());
    }
    // Otherwise that said little.
    expect([...seen].toSorted()).toEqual([
      "appended, appended",
      "duplicate, appended",
      "duplicate, duplicate",
      "duplicate, rejected",
      "rejected, rejected",
    ]);
  });

  it("is answered in a few parts: neighbours that fared alike share one", () => {
    const driver = withStream();
    const first = driver.run(run(0, [1, 2, 3]));
    expect(first).toEqual({
      kind: "appended-run",
      parts: [
        {
          count: 3,
          result: {
            kind: "appended",
            incarnation: 1,
            firstOffset: 0,
            nextOffset: 6,
            tail: 6,
            closed: false,
            duplicate: false,
            producer: { epoch: 0, sequence: 2 },
          },
        },
      ],
    });
    driver.append("a", 10);
    // A retry of the last two, and two that are new.
    expect(driver.run(run(1, [2, 3, 1, 1]))).toMatchObject({
      parts: [
        { count: 2, result: { firstOffset: 1, nextOffset: 6, duplicate: true } },
        { count: 2, result: { firstOffset: 16, nextOffset: 18, duplicate: false } },
      ],
    });
    expect(driver.run(run(7, [1, 1, 1]))).toMatchObject({
      parts: [{ count: 3, result: { kind: "rejected", code: "sequence-gap", expectedSequence: 5 } }],
    });
  });

  it("and its appends are retries of each other", () => {
    const driver = withStream();
    driver.append("a", 2, tag("p", 0, 0));
    expect(driver.run(run(0, [2, 1]))).toMatchObject({
      parts: [
        { count: 1, result: { firstOffset: 0, duplicate: true } },
        { count: 1, result: { firstOffset: 2, duplicate: false } },
      ],
    });
    expect(driver.append("a", 1, tag("p", 0, 1))).toMatchObject({ firstOffset: 2, nextOffset: 3, duplicate: true });
    expect(driver.machine.stream("a")?.nextOffset).toBe(3);
  });

  it("of other batches under known sequences is told the first answers, each by itself", () => {
    const driver = withStream();
    driver.run(run(0, [1, 2, 1]));
    const again = run(0, [1, 5, 1]);
    expect(shared(again, driver.run(again)).map(gistOf)).toMatchObject([
      { firstOffset: 0, nextOffset: 1 },
      { firstOffset: 1, nextOffset: 3 },
      { firstOffset: 3, nextOffset: 4 },
    ]);
  });

  it("is refused where each would be, and what was there before stays answered", () => {
    const driver = Driver.limited({ ...STREAMS_LIMITS, producersMax: 1 });
    driver.create("a");
    driver.run(append("a", 1, tag("q", 0, 0)));
    expect(driver.run(run(0, [1, 1]))).toMatchObject({
      parts: [
        { count: 1, result: { code: "too-many" } },
        { count: 1, result: { code: "sequence-gap" } },
      ],
    });
    driver.run({ kind: "append", stream: "a", close: true });
    expect(driver.run(run(0, [1, 1], { producer: { id: "q", epoch: 0, sequence: 0 } }))).toMatchObject({
      parts: [
        { count: 1, result: { firstOffset: 0, duplicate: true, closed: true } },
        { count: 1, result: { code: "stream-closed" } },
      ],
    });
  });
});
