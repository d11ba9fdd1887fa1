/** The numbered examples give what a plain computation over the whole of their input gives. */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { csvRows } from "../../client/cli/csv.ts";
import wordCount from "../../client/examples/01-word-count.ts";
import averagePerSecond from "../../client/examples/02-average-per-second.ts";
import lastValue from "../../client/examples/03-last-value.ts";
import delayedFlights from "../../client/examples/04-delayed-flights.ts";
import sessions from "../../client/examples/05-sessions.ts";
import { loadFlights } from "../../client/examples/flights.ts";
import { TopologyDriver } from "../../client/testing/index.ts";
import { ROOT } from "../source-tree.ts";

const MINUTE_MS = 60_000;

/** What was written, by key and value. */
function written(driver: TopologyDriver, stream: string): (readonly [unknown, unknown])[] {
  return driver.read(stream).map(({ key, value }) => [key, value]);
}

it("word count", () => {
  const driver = new TopologyDriver(wordCount);
  driver.write("lines", "The tide is a tide,");
  driver.write("lines", "is it?");
  driver.checkDeterminism();
  expect(written(driver, "word-counts")).toEqual([
    ["the", 1],
    ["tide", 1],
    ["is", 1],
    ["a", 1],
    ["tide", 2],
    ["is", 2],
    ["it", 1],
  ]);
});

it("average per second", async () => {
  const driver = new TopologyDriver(averagePerSecond);
  const file = createReadStream(join(ROOT, "client/examples/02-numbers.csv"));
  for await (const { row } of csvRows(file, { delimiter: ",", rowBytesMax: 1_000 })) driver.write("numbers", row);
  expect(driver.read("averages").map(({ value }) => value)).toEqual([
    { second: "2026-03-01T12:00:00.000Z", average: 20 },
    { second: "2026-03-01T12:00:01.000Z", average: 6 },
  ]);
  expect(driver.read("numbers-late").map(({ value }) => value)).toEqual([
    { time: "2026-03-01T12:00:01.900Z", value: 1_000 },
  ]);
  // Nothing more comes: the last second is over when it would be.
  driver.advance(3_000);
  driver.checkDeterminism();
  expect(driver.read("averages").map(({ value }) => value)).toEqual([
    { second: "2026-03-01T12:00:03.000Z", average: 2 },
  ]);
});

it("last value", () => {
  const driver = new TopologyDriver(lastValue);
  const read = (sensor: string, celsius: number): void => driver.write("readings", { sensor, celsius });
  read("a", 20);
  driver.advance(6_000);
  read("a", 21);
  read("b", 5);
  // Later than the first value of "a" is old, but not the second.
  driver.advance(6_000);
  read("b", 6);
  driver.advance(4_001);
  read("c", 1);
  driver.checkDeterminism();
  expect(written(driver, "last-values")).toEqual([
    ["a", 20],
    ["a", 21],
    ["b", 5],
    ["b", 6],
    ["a", null],
    ["c", 1],
  ]);
});

it("delayed flights", () => {
  const flights = loadFlights().slice(0, 4_000);
  const driver = new TopologyDriver(delayedFlights);
  for (const flight of flights) driver.write("flights", flight);
  // A day behind all of them, so that their windows close.
  driver.write("flights", { date: "2001/04/01 23:59", delay: 0, origin: "SFO", destination: "OAK" });
  driver.write("flights", { date: "2001/04/02 23:59", delay: 0, origin: "SFO", destination: "OAK" });

  const late = flights.filter(({ delay }) => delay > 15);
  const expected = Map.groupBy(late, ({ date, origin }) => `${origin} ${date.slice(0, 13)}`);
  const found = written(driver, "delayed-flights").map(([origin, value]) => {
    const { hour, flights: count, minutes } = value as { hour: string; flights: number; minutes: number };
    return [`${origin as string} ${hour.slice(0, 13).replaceAll("-", "/").replace("T", " ")}`, count, minutes] as const;
  });
  expect(found.length).toBe(expected.size);
  expect(new Map(found.map(([group, ...values]) => [group, values]))).toEqual(
    new Map(
      [...expected].map(([group, own]) => {
        return [group, [own.length, own.reduce((sum, { delay }) => sum + delay, 0) / own.length]];
      }),
    ),
  );
  expect(driver.read("flights-too-late")).toEqual([]);
});

it("sessions", () => {
  const driver = new TopologyDriver(sessions);
  const click = (visitor: string, page: string, minute: number): void =>
    driver.write("clicks", { visitor, page }, { timestamp: minute * MINUTE_MS });
  click("eve", "/", 0);
  click("eve", "/b", 20);
  click("bob", "/", 25);
  click("eve", "/", 54);
  // Joins what of hers is on either side of it.
  click("eve", "/a", 40);
  click("bob", "/", 85);
  click("bob", "/late", 5);
  click("bob", "/", 121);
  driver.checkDeterminism();
  expect(written(driver, "sessions")).toEqual([
    ["bob", { clicks: 1, pages: ["/"], start: 25 * MINUTE_MS, minutes: 0 }],
    ["eve", { clicks: 4, pages: ["/", "/a", "/b"], start: 0, minutes: 54 }],
    ["bob", { clicks: 1, pages: ["/"], start: 85 * MINUTE_MS, minutes: 0 }],
  ]);
  expect(written(driver, "clicks-late")).toEqual([["bob", { visitor: "bob", page: "/late" }]]);
});
