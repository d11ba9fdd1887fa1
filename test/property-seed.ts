/**
 * Where properties draw their cases from. The gate judges one change, so it draws the same cases every time (`CI` is set
 * there); elsewhere each run draws new ones, and a failure prints its seed.
 */
import fc from "fast-check";

const GATE_SEED = 1;

if (process.env["CI"] !== undefined) fc.configureGlobal({ seed: GATE_SEED });
