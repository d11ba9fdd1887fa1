/** W127: records as server-sent events, where compaction has left gaps. */
import { expect, it } from "vitest";
import { recordEvents } from "../../log-server/http/records/event-text.ts";

function shown(from: number, offsets: readonly number[], next: number): string[] {
  const records = offsets.map((offset) => ({ offset, text: `{"offset":${offset}}` }));
  return recordEvents(3, from, records, next)
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) =>
      block
        .replace(/id: 0{15}3_0*(\d+)/, "$1")
        .replaceAll("\n", " ")
        .replaceAll('"', ""),
    );
}

it("every offset is an event or in a gap, in order, and each id is behind it (I7)", () => {
  expect(shown(0, [0, 1], 2)).toEqual(["1 data: {offset:0}", "2 data: {offset:1}"]);
  expect(shown(2, [4, 5, 8], 10)).toEqual([
    "event: gap 4 data: {from:2,to:4}",
    "5 data: {offset:4}",
    "6 data: {offset:5}",
    "event: gap 8 data: {from:6,to:8}",
    "9 data: {offset:8}",
    "event: gap 10 data: {from:9,to:10}",
  ]);
  expect(shown(5, [], 9)).toEqual(["event: gap 9 data: {from:5,to:9}"]);
  expect(shown(5, [], 5)).toEqual([]);
});
