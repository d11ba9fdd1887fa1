/** The bounded queue against a plain array (I15). */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvariantError } from "../../src/lib/assert.ts";
import { BoundedQueue } from "../../src/lib/bounded-queue.ts";

describe("BoundedQueue", () => {
  it("I15: is a queue, and never longer than its bound", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant("push") },
      { weight: 4, arbitrary: fc.constant("shift") },
      fc.constant("drain"),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.array(step, { maxLength: 400 }), (capacity, steps) => {
        const queue = new BoundedQueue<number>(capacity);
        let model: number[] = [];
        steps.forEach((kind, item) => {
          if (kind === "push") {
            const fits = model.length < capacity;
            expect(queue.push(item)).toBe(fits);
            if (fits) model.push(item);
          } else if (kind === "shift") {
            expect(queue.shift()).toBe(model.shift());
          } else {
            expect(queue.drain()).toEqual(model);
            model = [];
          }
          expect(queue.size).toBe(model.length);
          expect(queue.full).toBe(model.length === capacity);
          expect(queue.peek()).toBe(model[0]);
        });
      }),
    );
  });

  it.each([0, -1, 1.5, Number.POSITIVE_INFINITY])("I15: %s is no bound", (capacity) => {
    expect(() => new BoundedQueue(capacity)).toThrow(InvariantError);
  });
});
