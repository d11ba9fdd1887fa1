/** What is fuzzed: a parser with valid inputs, and what must be true of it whatever arrives. */
import type { Result } from "../../src/lib/result.ts";
import { ERRORS } from "../../src/wire/errors.ts";

/** What became of an input. Anything else is thrown, and is a defect. */
export type Verdict = "accepted" | "refused";

type Common = {
  readonly name: string;
  /** Valid inputs, which are mutated. */
  readonly samples: readonly Uint8Array[];
  /** Pieces of the format that may turn up anywhere. */
  readonly words?: readonly Uint8Array[];
  /** Makes checksums good again, most of the time, so that what lies behind them is reached. */
  readonly seal?: (bytes: Uint8Array, pick: (n: number) => number) => Uint8Array;
};

export type CheapTarget = Common & {
  readonly kind: "cheap";
  readonly check: (bytes: Uint8Array) => Verdict;
  /** Bytes of buffers that it may make, beyond a small multiple of its input; only decompression needs any. */
  readonly allocationMax?: number;
};

/** Needs files, streams of bytes or a server; gets fewer inputs. */
export type CostlyTarget = Common & {
  readonly kind: "costly";
  /** Of this many inputs of a cheap target it gets one. */
  readonly everyInputs: number;
  readonly open: () => Promise<CostlyCheck>;
};

export type CostlyCheck = {
  readonly check: (bytes: Uint8Array) => Promise<Verdict>;
  readonly close?: () => Promise<void>;
};

export type Target = CheapTarget | CostlyTarget;

export function cheap(target: Omit<CheapTarget, "kind">): CheapTarget {
  return { kind: "cheap", ...target };
}

export function costly(target: Omit<CostlyTarget, "kind">): CostlyTarget {
  return { kind: "costly", ...target };
}

/** A value, or an error of a code that clients know. */
export function judge(result: Result<unknown, string | { readonly code: string }>): Verdict {
  if (result.ok) return "accepted";
  return refusedAs(typeof result.error === "string" ? result.error : result.error.code);
}

export function refusedAs(code: string): Verdict {
  demand(Object.hasOwn(ERRORS, code), `an error of an unknown code, ${code}`);
  return "refused";
}

export function demand(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(otherwise);
}
