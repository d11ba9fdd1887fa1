/** Records as properties draw them: every combination of parts, small and odd values first. */
import fc from "fast-check";
import { type StreamRecord, TIMESTAMP_MAX_MS } from "../../src/record/record.ts";

const bytes = fc.uint8Array({ maxLength: 40 });

export const arbitraryRecord: fc.Arbitrary<StreamRecord> = fc.record(
  {
    value: fc.option(bytes, { nil: null }),
    key: bytes,
    headers: fc.array(fc.tuple(fc.string({ unit: "binary", maxLength: 60 }), bytes), { minLength: 1, maxLength: 3 }),
    timestamp: fc.oneof(
      fc.integer({ min: -TIMESTAMP_MAX_MS, max: TIMESTAMP_MAX_MS }),
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_100_000 }),
    ),
  },
  { requiredKeys: ["value"] },
);

export const arbitraryRecords: fc.Arbitrary<StreamRecord[]> = fc.array(arbitraryRecord, {
  minLength: 1,
  maxLength: 20,
});
