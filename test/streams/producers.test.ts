/** Idempotent producers: epochs, sequences, retries, forgetting (I8; PITFALLS P36, P37, P38). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "../../src/lib/byte-reader.ts";
import { ByteWriter } from "../../src/lib/byte-writer.ts";
import { Answers } from "../../log-server/streams/answers.ts";
import { STREAMS_LIMITS } from "../../log-server/streams/limits.ts";
import { append, create, Driver, restored, tag } from "./driver.ts";

function withStream(): Driver {
  const driver = new Driver();
  driver.create("a");
  return driver;
}

describe("producers", () => {
  it("give a retry its first answer, whatever it carries now (I8)", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 0, 0));
    driver.append("a", 5);
    driver.append("a", 2, tag("p", 0, 1));
    const retry = driver.apply(append("a", 7, { ...tag("p", 0, 0), close: true }));
    expect(retry.results[0]).toEqual({
      kind: "appended",
      incarnation: 1,
      firstOffset: 0,
      nextOffset: 1,
      tail: 8,
      closed: false,
      duplicate: true,
      producer: { epoch: 0, sequence: 1 },
    });
    expect(retry.placements).toEqual([{ accepted: false }]);
    expect(retry.changed).toEqual([]);
    expect(driver.append("a", 1, tag("p", 0, 1))).toMatchObject({ firstOffset: 6, nextOffset: 8, duplicate: true });
  });

  it("answer a retry of the closing append as a duplicate, close-only too", () => {
    const driver = withStream();
    driver.append("a", 1, { ...tag("p", 0, 0), close: true });
    expect(driver.append("a", 1, { ...tag("p", 0, 0), close: true })).toMatchObject({ closed: true, duplicate: true });
    expect(driver.refused(append("a", 0, { ...tag("p", 0, 1), close: true })).code).toBe("stream-closed");
    expect(driver.refused(append("a", 1, { ...tag("q", 0, 0), close: true })).code).toBe("stream-closed");
    driver.create("b");
    const first = driver.append("b", 0, { ...tag("p", 0, 0), close: true });
    expect(first.producer).toEqual({ epoch: 0, sequence: 0 });
    const again = driver.append("b", 0, { ...tag("p", 0, 0), close: true });
    expect(again).toEqual({ ...first, duplicate: true });
  });

  it("are fenced by a newer epoch, which starts at sequence 0 (P38)", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 1, 0));
    driver.append("a", 1, tag("p", 1, 1));
    expect(driver.refused(append("a", 1, tag("p", 2, 1))).code).toBe("invalid-producer");
    driver.append("a", 1, tag("p", 2, 0));
    expect(driver.refused(append("a", 1, tag("p", 1, 2)))).toMatchObject({ code: "producer-fenced", epoch: 2 });
    expect(driver.refused(append("a", 1, tag("p", 1, 0)))).toMatchObject({ code: "producer-fenced", epoch: 2 });
    expect(driver.refused(append("a", 1, tag("p", 2, 2)))).toMatchObject({ code: "sequence-gap", expectedSequence: 1 });
  });

  it("may begin in any epoch, at sequence 0", () => {
    const driver = withStream();
    expect(driver.refused(append("a", 1, tag("p", 7, 1)))).toMatchObject({ code: "sequence-gap", expectedSequence: 0 });
    driver.append("a", 1, tag("p", 7, 0));
    expect(driver.append("a", 1, tag("q", 0, 0)).firstOffset).toBe(1);
  });

  it("use up no sequence with a rejected command", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 0, 0));
    driver.refused(append("a", 1, { ...tag("p", 0, 1), expectedOffset: 9 }));
    driver.refused(append("a", 1, { ...tag("p", 1, 0), expectedOffset: 9 }));
    expect(driver.append("a", 1, tag("p", 0, 1)).duplicate).toBe(false);
  });

  it("keep the answers of the newest sequences; an older duplicate has no offsets", () => {
    const driver = withStream();
    const kept = STREAMS_LIMITS.producerAnswersMax;
    for (let sequence = 0; sequence < kept + 10; sequence += 1) {
      driver.apply(append("a", 1 + (sequence % 3), tag("p", 0, sequence)), append("a", sequence % 2 === 0 ? 1 : 2));
    }
    const oldest = driver.append("a", 1, tag("p", 0, 9));
    expect(oldest).toMatchObject({ duplicate: true, producer: { epoch: 0, sequence: kept + 9 } });
    expect(oldest.firstOffset).toBeUndefined();
    expect(oldest.nextOffset).toBeUndefined();
    // Sequences 0 to 9 appended 19 records, and 15 came in between.
    expect(driver.append("a", 1, tag("p", 0, 10))).toMatchObject({ firstOffset: 34, nextOffset: 36 });
    expect(restored(driver.machine).digest()).toBe(driver.machine.digest());
  });

  it("are not inherited by forks, nor by a later stream of the name", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 0, 0));
    driver.fork("a", "f");
    expect(driver.append("f", 1, tag("p", 0, 0))).toMatchObject({ duplicate: false, firstOffset: 1 });
    driver.run({ kind: "delete", stream: "f" });
    driver.run({ kind: "delete", stream: "a" });
    driver.create("a");
    expect(driver.append("a", 1, tag("p", 0, 0)).duplicate).toBe(false);
  });

  it("are forgotten when idle, in log time; going on after that is an explicit error (P37)", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 0, 0));
    driver.pass(STREAMS_LIMITS.producerIdleMs - 1);
    driver.append("a", 1, tag("p", 0, 1));
    driver.pass(STREAMS_LIMITS.producerIdleMs - 1);
    expect(driver.append("a", 1, tag("p", 0, 1)).duplicate).toBe(true);
    // A retry is no use: only what is accepted is.
    driver.now += 1;
    expect(driver.refused(append("a", 1, tag("p", 0, 2)))).toMatchObject({ code: "sequence-gap", expectedSequence: 0 });
    expect([...driver.machine.rows()].some(([key]) => key[0] === 2)).toBe(false);
    expect(driver.append("a", 1, tag("p", 0, 0)).duplicate).toBe(false);
  });

  it("do not keep an idle log awake", () => {
    const driver = withStream();
    driver.append("a", 1, tag("p", 0, 0));
    expect(driver.machine.nextDeadline()).toBeUndefined();
  });

  it("are forgotten exactly when they are due, though an entry has no room to forget them all", () => {
    const driver = Driver.limited({ duePerEntryMax: 2, producerIdleMs: 1_000 });
    driver.create("a");
    driver.apply(...["p", "q", "r", "s"].map((id) => append("a", 1, tag(id, 0, 0))));
    driver.now += 1_000;
    const { results } = driver.apply(...["s", "r", "q", "p"].map((id) => append("a", 1, tag(id, 0, 1))));
    expect(results.map((result) => result.kind === "rejected" && result.code)).toEqual(Array(4).fill("sequence-gap"));
  });

  it("due at the same time go in order of stream and id, whichever came first (I10)", () => {
    const driver = Driver.limited({ duePerEntryMax: 1, producerIdleMs: 1_000 });
    driver.apply(create("a"), create("b"));
    driver.apply(append("b", 1, tag("o", 0, 0)), append("a", 1, tag("q", 0, 0)), append("a", 1, tag("p", 0, 0)));
    const left = () => [...driver.machine.rows()].filter(([key]) => key[0] === 2).map(([key]) => [key[8], key[9]]);
    driver.now += 1_000;
    const seen = [0, 1, 2, 3].map((entry) => {
      if (entry > 0) driver.apply();
      return left();
    });
    const [p, q, o] = [
      [1, 0x70],
      [1, 0x71],
      [2, 0x6f],
    ];
    expect(seen).toEqual([[p, q, o], [q, o], [o], []]);
  });

  it("are bounded per stream and in all; the ids, too", () => {
    const driver = Driver.limited({ producersPerStreamMax: 2, producersMax: 3 });
    driver.apply(create("a"), create("b"));
    driver.append("a", 1, tag("p", 0, 0));
    driver.append("a", 1, tag("q", 0, 0));
    expect(driver.refused(append("a", 1, tag("r", 0, 0))).code).toBe("too-many");
    driver.append("a", 1, tag("p", 0, 1));
    driver.append("b", 1, tag("p", 0, 0));
    expect(driver.refused(append("b", 1, tag("q", 0, 0))).code).toBe("too-many");
    driver.run({ kind: "delete", stream: "a" });
    driver.append("b", 1, tag("q", 0, 0));
    const long = "x".repeat(STREAMS_LIMITS.producerIdBytesMax + 1);
    for (const id of ["", long]) expect(driver.refused(append("b", 1, tag(id, 0, 0))).code).toBe("invalid-producer");
  });

  it("take effect once each, in order, however often and in whatever order commands are sent (I8)", () => {
    const attempt = fc.record({
      id: fc.constantFrom("p", "q"),
      epoch: fc.nat(2),
      sequence: fc.nat(6),
      span: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(attempt, { minLength: 1, maxLength: 60 }), fc.nat(60), (attempts, cut) => {
        let driver = withStream();
        const first = new Map<string, object>();
        const epochs = new Map<string, number>();
        attempts.forEach(({ id, epoch, sequence, span }, place) => {
          if (place === cut) driver = new Driver(restored(driver.machine));
          const tail = driver.machine.stream("a")?.nextOffset ?? 0;
          const result = driver.run(append("a", span, tag(id, epoch, sequence)));
          const grown = (driver.machine.stream("a")?.nextOffset ?? 0) - tail;
          const key = `${id}/${epoch}/${sequence}`;
          if (result.kind !== "appended") {
            expect(grown).toBe(0);
            return;
          }
          expect(epoch).toBeGreaterThanOrEqual(epochs.get(id) ?? 0);
          epochs.set(id, epoch);
          const { firstOffset, nextOffset } = result;
          expect(result.duplicate).toBe(first.has(key));
          if (result.duplicate) {
            expect(grown).toBe(0);
            expect({ firstOffset, nextOffset }).toEqual(first.get(key));
          } else {
            expect({ firstOffset, nextOffset }).toEqual({ firstOffset: tail, nextOffset: tail + span });
            expect(sequence === 0 || first.has(`${id}/${epoch}/${sequence - 1}`)).toBe(true);
            first.set(key, { firstOffset, nextOffset });
          }
        });
      }),
      { numRuns: 150 },
    );
  });
});

describe("kept answers", () => {
  const answers = fc.array(fc.record({ gap: fc.nat(1), span: fc.nat(2) }), { minLength: 1, maxLength: 60 });

  it("are found again, newest first, and no further back than kept", () => {
    fc.assert(
      fc.property(answers, fc.integer({ min: 1, max: 20 }), (given, max) => {
        const kept = new Answers();
        const all: { firstOffset: number; span: number }[] = [];
        let tail = 0;
        for (const { gap, span } of given) {
          all.push({ firstOffset: tail + gap, span });
          kept.push(tail + gap, span, max);
          tail += gap + span;
        }
        for (let back = 0; back < given.length + 2; back += 1) {
          expect(kept.find(back)).toEqual(back < max ? all.at(-1 - back) : undefined);
        }
        const writer = new ByteWriter();
        kept.write(writer);
        const read = Answers.read(new ByteReader(writer.finish()), max);
        expect(read).toEqual(kept);
      }),
    );
  });

  it("have one form, whatever was forgotten before them", () => {
    const long = new Answers();
    const short = new Answers();
    long.push(0, 5, 4);
    for (const offset of [5, 6, 7, 9]) {
      long.push(offset, 1, 4);
      short.push(offset, 1, 4);
    }
    expect(long).toEqual(short);
  });

  it("refuse any other form", () => {
    const read = (...numbers: number[]) => {
      const writer = new ByteWriter();
      for (const number of numbers) writer.varint(number);
      const reader = new ByteReader(writer.finish());
      Answers.read(reader, 8);
      return reader.complete;
    };
    expect(read(2, 1, 5, 1, 1, 0, 2)).toBe(true);
    expect(read(2, 1, 5, 1, 1, 0, 1)).toBe(false);
    expect(read(1, 0, 5, 1)).toBe(false);
    expect(read(1, 9, 5, 1)).toBe(false);
    expect(read(1, 2, Number.MAX_SAFE_INTEGER, 1)).toBe(false);
    expect(read(9, 1, 5, 1)).toBe(false);
  });
});
