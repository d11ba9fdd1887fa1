/** The driver that users test with: what it tells of a topology that is no function of its input. */
import { describe, expect, it } from "vitest";
import { DifferenceError, PoisonError, TopologyDriver } from "../../client/testing/index.ts";
import { topology } from "../../src/operators/index.ts";
import { steps } from "../testing/steps.ts";

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

describe("the driver's check of determinism, behind poison", () => {
  it("leaves out the records that were poison", () => {
    const app = topology("aside");
    app
      .stream("in")
      .groupByKey()
      .reduce((a, b) => {
        if (b === 2) throw new Error("two");
        return Number(a) + Number(b);
      })
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(() => driver.write("in", 2)).toThrow("two");
    driver.write("in", 3);
    driver.checkDeterminism();
    expect(driver.read("out").map(({ value }) => value)).toEqual([1, 4]);
  });

  it("says that a timer stays due", () => {
    const app = topology("due");
    app
      .stream("in")
      .process({
        onRecord: (_value, { logTime, timers }) => {
          timers.log(logTime + 1);
          return [];
        },
        onTimer: () => {
          throw new Error("never");
        },
      })
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(() => driver.advance(2)).toThrow("never");
    expect(() => driver.checkDeterminism()).toThrow(
      'there is nothing to compare: a timer that is poison stays due, and operator "process-1" failed in a timer of "process-1" (key null, due at 1): never',
    );
  });

  it("finds what is poison only when it runs again", () => {
    let calls = 0;
    const app = topology("second");
    app
      .stream("in")
      .map(() => {
        calls += 1;
        if (calls > 1) throw new Error("again");
        return calls;
      })
      .to("out");
    const driver = new TopologyDriver(app);
    driver.write("in", 1);
    expect(() => driver.checkDeterminism()).toThrow(
      'run again on the same input, operator "map-1" failed at in, offset 0: again; callbacks may depend on nothing',
    );
  });
});

describe("the driver refuses", () => {
  const driver = (): TopologyDriver => {
    const app = topology("refuses");
    app.stream("in").to("out");
    return new TopologyDriver(app);
  };
  const refused = (message: string): object => expect.objectContaining({ code: "invalid-argument", message });

  it.each([NaN, Infinity, -5, 1.5, 2 ** 53])("an advance by %d", (ms) => {
    const tested = driver();
    const message = `what log time advances by is a whole number from 0 on, and was ${ms}`;
    expect(() => tested.advance(ms)).toThrow(refused(message));
    expect(tested.now).toBe(0);
  });

  it("a log time that is none", () => {
    const app = topology("refuses");
    app.stream("in").to("out");
    const message = "log time is whole milliseconds since the Unix epoch, and was to be 0.5";
    expect(() => new TopologyDriver(app, 0.5)).toThrow(refused(message));
    expect(() => driver().advance(2 ** 52)).toThrow(/log time is whole milliseconds/);
  });

  it("streams that the topology does not read, or does not write", () => {
    expect(() => driver().write("inn", 1)).toThrow(refused('the topology does not read "inn"; it reads in'));
    expect(() => driver().read("ou")).toThrow(refused('the topology does not write "ou"; it writes out'));
  });

  it("records that are none", () => {
    const write = (value: unknown, record: unknown) => () => driver().write("in", value, record as object);
    expect(write(undefined, {})).toThrow(refused("this value has no JSON form"));
    expect(write(1, { time: 1 })).toThrow(refused('a record has no "time"; it has key, headers, timestamp'));
    expect(write(1, { timestamp: 1.5 })).toThrow(/a record's timestamp is a whole number/);
    expect(write(1, { key: 5 })).toThrow(/keys, values of headers .* are text or a Uint8Array/);
  });

  it("counters that there are not", () => {
    expect(() => driver().counted("lat" as "late")).toThrow(refused("a counter is late or skipped, and was lat"));
  });
});

it("reads what a topology writes and reads itself", () => {
  const driver = new TopologyDriver(steps());
  driver.write("first", 1);
  driver.write("second", 7);
  expect(driver.read("second").map(({ value }) => value)).toEqual([2]);
  expect(driver.read("third").map(({ value }) => value)).toEqual([20, 70]);
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
