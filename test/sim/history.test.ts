/** The checker, checked: each anomaly it is there for is found, and a history without one passes. */
import { beforeEach, describe, expect, it } from "vitest";
import { History, payloadOf, type ReadRecord, type SentBatch, Violation } from "./history.ts";

let history: History;
const batches: SentBatch[] = [];

function batch(sequence: number, count: number): SentBatch {
  const payloads = Array.from({ length: count }, (_, place) => payloadOf("p", sequence, place, "x"));
  return { stream: "s", producer: "p", sequence, payloads };
}

/** Batches as records from an offset on. */
function read(from: number, ...sequences: readonly (SentBatch | undefined)[]): ReadRecord[] {
  const payloads = sequences.flatMap((sent) => sent?.payloads ?? []);
  return payloads.map((payload, index) => ({ offset: from + index, payload }));
}

beforeEach(() => {
  history = new History();
  batches.splice(0, batches.length, batch(0, 2), batch(1, 1), batch(2, 3));
  for (const sent of batches) history.sent(sent);
  history.acknowledged(batches[0] as SentBatch, 0);
  history.acknowledged(batches[1] as SentBatch, 2);
});

describe("a history that keeps its promises passes", () => {
  it("with everything acknowledged", () => {
    expect(() => history.check("s", 0, read(0, batches[0], batches[1]), false)).not.toThrow();
  });

  it("with what was never answered, too, and from then on for good", () => {
    history.check("s", 0, read(0, ...batches), false);
    expect(() => history.check("s", 0, read(0, batches[0], batches[1]), false)).toThrow(Violation);
  });

  it("with what was trimmed gone", () => {
    history.trimSent("s", 2);
    expect(() => history.check("s", 2, read(2, batches[1]), false)).not.toThrow();
  });

  it("with what is damaged refused", () => {
    expect(() => history.check("s", 0, read(0, batches[0]), true)).not.toThrow();
  });
});

describe("what is found", () => {
  it.each<[string, () => void]>([
    ["a lost acknowledged batch", () => history.check("s", 0, read(0, batches[0]), false)],
    ["an acknowledged batch elsewhere", () => history.check("s", 0, read(0, batches[1], batches[0]), false)],
    ["a repeated batch", () => history.check("s", 0, read(0, batches[0], batches[1], batches[2], batches[2]), false)],
    ["a gap in the offsets", () => history.check("s", 0, [...read(0, batches[0]), ...read(3, batches[1])], false)],
    ["half a batch", () => history.check("s", 0, [...read(0, batches[0]).slice(0, 1), ...read(1, batches[1])], false)],
    [
      "a record nobody sent",
      () => history.check("s", 0, [...read(0, batches[0], batches[1]), { offset: 3, payload: "q/0/0 x" }], false),
    ],
    ["a changed record", () => history.check("s", 0, [{ offset: 0, payload: "p/0/0 y" }], true)],
    ["a trim that nobody asked for", () => history.check("s", 2, read(2, batches[1]), false)],
    ["two answers for one batch", () => history.acknowledged(batches[0] as SentBatch, 7)],
  ])("%s", (_, act) => {
    expect(act).toThrow(Violation);
  });

  it("a producer's batches out of order", () => {
    const fresh = new History();
    for (const sent of batches) fresh.sent(batch(sent.sequence, sent.payloads.length));
    expect(() => fresh.check("s", 0, read(0, batches[2], batches[0]), false)).toThrow(/comes after/);
  });

  it("a record that was read and is gone", () => {
    history.check("s", 0, read(0, ...batches), false);
    expect(() => history.check("s", 0, read(0, batches[0], batches[1]), false)).toThrow(/was read as/);
  });
});
