/** The bench's own parts: what rounds come to, how figures are shown, and where an answer ends. */
import { describe, expect, it } from "vitest";
import { type Figure, formatFigures, toJson } from "../../bench/figure.ts";
import { firstAnswer } from "../../bench/http-load.ts";
import { median, ratios, takeTurns } from "../../bench/rounds.ts";

describe("rounds", () => {
  it("take the middle of an odd number, and between the middle two of an even one", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 3])).toBe(4);
  });

  it("compare each round with the same round of the other", () => {
    // A machine half as fast in the second round: the medians alone would say 10 / 15.
    expect(ratios([10, 5], [20, 10])).toEqual({ value: 0.5, least: 0.5, most: 0.5 });
    expect(ratios([10, 10, 10], [20, 5, 10])).toEqual({ value: 1, least: 0.5, most: 2 });
  });

  it("alternate between the subjects", async () => {
    const order: string[] = [];
    const subject = (name: string) => ({ name, run: () => Promise.resolve(order.push(name)) });
    const results = await takeTurns(2, [subject("a"), subject("b")]);
    expect(order).toEqual(["a", "b", "a", "b"]);
    expect(results("b")).toEqual([2, 4]);
  });
});

describe("figures", () => {
  const slow: Figure = {
    name: "append.ws.p50.vs-floor",
    value: 0.6,
    unit: "ms",
    versus: "the floor",
    ratio: 2.1,
    spread: [1.9, 2.2],
  };
  const fast: Figure = { name: "read.ws.records-per-second", value: 1_500_000, unit: "records/s" };

  it("are judged by the ratio where there is one, else by the value", () => {
    const [head, first, second] = formatFigures([slow, fast]).split("\n");
    expect(head).toMatch(/^figure +value +versus +spread +target$/);
    expect(first).toMatch(/0\.6 ms +2\.10 × the floor +1\.9 – 2\.2 +at most 2: missed$/);
    expect(second).toMatch(/1,500,000 records\/s +at least 1,500,000: met$/);
  });

  it("are judged beside how far two rounds of the same lie apart, where that is the target", () => {
    const standby: Figure = { ...slow, name: "operators.snapshot.standby.p99-ratio", ratio: 1.2 };
    const same: Figure = { name: "operators.snapshot.standby.a-against-a", value: 1, unit: "×", spread: [0.9, 1.25] };
    const judgement = (figures: readonly Figure[]): string => formatFigures(figures).split("\n")[1] ?? "";
    expect(judgement([standby, same])).toMatch(
      /at most 1\.1, or within operators\.snapshot\.standby\.a-against-a: met$/,
    );
    expect(judgement([{ ...standby, ratio: 1.3 }, same])).toMatch(/a-against-a: missed$/);
    expect(judgement([{ ...standby, ratio: 1.1 }, same])).toMatch(/at most 1\.1: met$/);
    // One round has nothing to be seen beside.
    expect(judgement([standby])).toMatch(/at most 1\.1: missed$/);
  });

  it("are written as what the file is said to hold", () => {
    expect(JSON.parse(toJson([slow, fast]))).toEqual([
      { name: slow.name, value: 0.6, unit: "ms", versus: "the floor", ratio: 2.1 },
      { name: fast.name, value: 1_500_000, unit: "records/s" },
    ]);
  });
});

describe("an answer", () => {
  const answer = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");

  it("ends where its length says, whatever follows", () => {
    expect(firstAnswer(Buffer.concat([answer, answer]))).toEqual({ length: answer.length, status: 200 });
    expect(firstAnswer(Buffer.from("HTTP/1.1 204 No Content\r\n\r\n"))).toMatchObject({ status: 204 });
  });

  it("is not there before its last byte", () => {
    for (let length = 0; length < answer.length; length += 1)
      expect(firstAnswer(answer.subarray(0, length))).toBeUndefined();
  });
});
