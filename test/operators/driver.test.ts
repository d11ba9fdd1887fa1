/** The driver that users test with: what it tells of a topology that is no function of its input. */
import { describe, expect, it } from "vitest";
import { DifferenceError, PoisonError, TopologyDriver } from "../../client/testing/index.ts";
import { topology } from "../../src/operators/index.ts";

describe("the driver's check of determinism", () => {
  it("is silent about a function of the input, at any moment", () => {
    const app = topology("same");
    app
      .stream("in")
      .map((value, { random }) => [value, random()])
      .groupByKey()
      .count()
      .to("out");
    const driver = new TopologyDriver(app, 1_000);
    driver.checkDeterminism();
    for (let n = 0; n < 50; n += 1) driver.write("in", n, { key: `key ${n % 3}` });
    driver.checkDeterminism();
    driver.advance(90_000);
    driver.write("in", 50, { key: "key 0" });
    driver.checkDeterminism();
    expect(driver.read("out").length).toBe(51);
  });

  it("says which output differs, and how", () => {
    let calls = 0;
    const app = topology("other");
    app
      .stream("in")
      .map(() => (calls += 1))
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(() => driver.checkDeterminism()).toThrow(DifferenceError);
    calls = 1;
    expect(() => driver.checkDeterminism()).toThrow(
      'stage 0, partition 0: run again on the same input, its output 0 is {"stream":"out","key":null,"value":2,' +
        '"timestamp":0,"headers":[]}, and was {"stream":"out","key":null,"value":1,"timestamp":0,"headers":[]}',
    );
  });

  it("finds what a callback remembers outside of its state, where no output shows it", () => {
    const seen = new Set<unknown>();
    const app = topology("hidden");
    app
      .stream("in")
      .filter((value) => seen.size === seen.add(value).size)
      .groupByKey()
      .count();
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(() => driver.checkDeterminism()).toThrow(/its state 0 is .*, and was /);
  });

  it("throws what is poison where it is met", () => {
    const app = topology("poison");
    app.stream("in").map(() => Math.random());
    const driver = new TopologyDriver(app);
    expect(() => driver.write("in", 1)).toThrow(PoisonError);
    expect(() => driver.write("in", 1)).toThrow(
      /operator "map-1" failed at in, offset 1: .*Math.random.*context.random/,
    );
  });
});

describe("what is written by the driver", () => {
  it("is what the topology reads: JSON, text or bytes", () => {
    const app = topology("formats");
    app.stream("json").to("out");
    app.stream("text", { format: "text" }).to("out");
    app
      .stream("bytes", { format: "bytes" })
      .map((bytes) => bytes.length)
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("json", "five");
    driver.write("text", "five");
    driver.write("bytes", Uint8Array.of(1, 2, 3));
    expect(driver.read("out").map(({ value }) => value)).toEqual(["five", "five", 3]);
    expect(() => driver.write("text", 5)).toThrow('the topology reads "text" as text, and was given 5');
    expect(() => driver.write("bytes", "five")).toThrow(/reads "bytes" as bytes/);
  });

  it("goes to a stream that is read, partition by partition", () => {
    const app = topology("parts");
    app
      .stream("in", { partitions: 2 })
      .keyBy((value) => String(value))
      .repartition()
      .to("out");
    const driver = new TopologyDriver(app);
    expect(() => driver.write("in", 1)).toThrow('the topology does not read "in"; it reads in/0, in/1');
    driver.write("in/1", 1);
    expect(driver.read("out").length).toBe(1);
  });
});
