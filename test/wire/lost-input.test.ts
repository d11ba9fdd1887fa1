/** What an app that begins anew does not read again. */
import { expect, it } from "vitest";
import { BEFORE_RECORDS } from "../../src/record/record-place.ts";
import { inputBegins, lostInput } from "../../src/wire/lost-input.ts";

const TASKS = [
  { start: BEFORE_RECORDS, known: { inputs: ["lines", "words"], begins: [4, 0] } },
  {
    start: BEFORE_RECORDS,
    known: { inputs: ["lines", "apps/a/by-word/0", "apps/b/by-word/0"], begins: [2, 0, 0] },
  },
  // It goes on behind a record, and misses nothing before that.
  { start: { ...BEFORE_RECORDS, position: 5 }, known: { inputs: ["lines", "notes"], begins: [0, 0] } },
];

function lost(kept: Readonly<Record<string, number>>): unknown {
  return lostInput(inputBegins("a", TASKS), (stream) => kept[stream]);
}

it("tells records that are gone from where the first task had to read, but not of the app's own streams", () => {
  const kept = { "lines": 7, "words": 0, "apps/a/by-word/0": 9, "apps/b/by-word/0": 1 };
  const gone = [
    { stream: "lines", from: 2, to: 7 },
    { stream: "apps/b/by-word/0", from: 0, to: 1 },
  ];
  expect(lost(kept)).toEqual({ gone, missing: [] });
});

it("tells streams that are not there", () => {
  expect(lost({ "lines": 2, "apps/b/by-word/0": 0 })).toEqual({ gone: [], missing: ["words"] });
});

it("tells nothing of what was gone before a task began, nor of a stream that begins before that", () => {
  expect(lost({ "lines": 1, "words": 0, "apps/b/by-word/0": 0 })).toEqual({ gone: [], missing: [] });
});
