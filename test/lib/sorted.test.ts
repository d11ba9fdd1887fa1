/** Searching in what is sorted, against looking at everything. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { firstNotBefore } from "../../src/lib/sorted.ts";

it("finds what a look at every item finds", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), fc.integer({ min: -1, max: 21 }), (items, sought) => {
      items.sort((a, b) => a - b);
      const first = items.findIndex((item) => item >= sought);
      expect(firstNotBefore(items, (item) => item < sought)).toBe(first < 0 ? items.length : first);
    }),
  );
});

it("looks at few of many", () => {
  let looks = 0;
  const place = firstNotBefore(new Float64Array(1_000_000), () => {
    looks += 1;
    return true;
  });
  expect(place).toBe(1_000_000);
  expect(looks).toBeLessThanOrEqual(20);
});
