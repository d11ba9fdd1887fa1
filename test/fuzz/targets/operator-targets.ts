/** Keys and values of operators' state: what is decoded is what would be encoded, byte for byte. */
import fc from "fast-check";
import { equalBytes } from "../../../src/lib/bytes.ts";
import { decodeKey, encodeKey } from "../../../src/operators/encoding/key-codec.ts";
import { decodeValue, encodeValue } from "../../../src/operators/encoding/value-codec.ts";
import { arbitraryKey, arbitraryValue } from "../../operators/arbitrary-data.ts";
import { cheap, demand, type Target } from "../target.ts";
import { SAMPLE_SEED } from "./samples.ts";

const SAMPLES = { seed: SAMPLE_SEED, numRuns: 60 };

export const OPERATOR_TARGETS: readonly Target[] = [
  cheap({
    name: "key of state",
    samples: fc.sample(arbitraryKey, SAMPLES).map(encodeKey),
    check: (bytes) => {
      const decoded = decodeKey(bytes);
      if (!decoded.ok) return "refused";
      demand(equalBytes(encodeKey(decoded.value), bytes), "a key has one encoding");
      return "accepted";
    },
  }),
  cheap({
    name: "value of state",
    samples: fc.sample(arbitraryValue, SAMPLES).map(encodeValue),
    check: (bytes) => {
      const decoded = decodeValue(bytes);
      if (!decoded.ok) return "refused";
      demand(equalBytes(encodeValue(decoded.value), bytes), "a value has one encoding");
      return "accepted";
    },
  }),
];
