/**
 * Feeds a target with inputs. Every input is drawn from the seed, the target's name and its own number alone, so that
 * one can be had again without those before it.
 */
import { hex } from "../../src/lib/bytes.ts";
import { Prng } from "../../src/lib/prng.ts";
import { allocatedBytes } from "../lib/allocation.ts";
import { mutate } from "./mutate.ts";
import { demand, type CheapTarget, type Target, type Verdict } from "./target.ts";

export type Report = {
  readonly name: string;
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  readonly seconds: number;
  readonly slowestMs: number;
};

/** One input that showed a defect. */
export class Finding extends Error {
  constructor(target: Target, seed: number, input: number, bytes: Uint8Array, cause: unknown) {
    const again = `npm run fuzz -- --only "${target.name}" --seed ${seed} --input ${input}`;
    super(`${target.name}: ${String(cause)}\n  seed ${seed}, input ${input}: ${hex(bytes)}\n  again: ${again}`, {
      cause,
    });
  }
}

const UNTOUCHED = 0.03;
const SEALED = 0.8;
/** Buffers are counted for one input in so many: counting is slower than most parsers. */
const COUNTED_EVERY = 64;
/** Of what is made besides: copies, decoded texts, reused buffers that grow. */
const ALLOCATION_PER_INPUT_BYTE = 16;
const ALLOCATION_FLOOR_BYTES = 65_536;
const HIGH = 0x1_0000_0000;
/** What is left above an input's number in a safe integer. */
const SEED_BITS_DROPPED = 11;

export async function exercise(
  target: Target,
  seed: number,
  inputs: number,
  onInput: (input: number) => void = () => undefined,
): Promise<Report> {
  const counts = { accepted: 0, refused: 0 };
  let slowestMs = 0;
  const startedAt = performance.now();
  const run = target.kind === "cheap" ? undefined : await target.open();
  try {
    for (let input = 0; input < inputs; input += 1) {
      onInput(input);
      const bytes = inputOf(target, seed, input);
      const before = performance.now();
      try {
        counts[run === undefined ? checkCheap(target as CheapTarget, bytes, input) : await run.check(bytes)] += 1;
      } catch (cause) {
        throw new Finding(target, seed, input, inputOf(target, seed, input), cause);
      }
      slowestMs = Math.max(slowestMs, performance.now() - before);
    }
  } finally {
    await run?.close?.();
  }
  return { name: target.name, inputs, ...counts, seconds: (performance.now() - startedAt) / 1_000, slowestMs };
}

export function inputOf(target: Target, seed: number, input: number): Uint8Array {
  const prng = new Prng((hashOf(target.name, seed) >>> SEED_BITS_DROPPED) * HIGH + input);
  const { samples, words, seal } = target;
  // The check may write into what it is given.
  const bytes = prng.chance(UNTOUCHED) ? prng.pick(samples).slice() : mutate(prng, samples, words).slice();
  return seal !== undefined && prng.chance(SEALED) ? seal(bytes, (n) => prng.below(n)) : bytes;
}

/** Of one input alone. */
export async function verdictOf(target: Target, bytes: Uint8Array): Promise<Verdict> {
  if (target.kind === "cheap") return checkCheap(target, bytes, 0);
  const run = await target.open();
  try {
    return await run.check(bytes);
  } finally {
    await run.close?.();
  }
}

/** A target of which nothing, or everything, is accepted has shown nothing. */
export function emptiness({ accepted, refused }: Report): string | undefined {
  if (accepted === 0) return "nothing was accepted";
  return refused === 0 ? "nothing was refused" : undefined;
}

export function inputsOf(target: Target, each: number): number {
  return target.kind === "cheap" ? each : Math.max(COSTLY_INPUTS_MIN, Math.floor(each / target.everyInputs));
}

/** So that even a short run sees a few accepted and a few refused. */
const COSTLY_INPUTS_MIN = 40;

function checkCheap(target: CheapTarget, bytes: Uint8Array, input: number): Verdict {
  if (input % COUNTED_EVERY !== 0) return target.check(bytes);
  let verdict: Verdict | undefined;
  const allocated = allocatedBytes(() => {
    verdict = target.check(bytes);
  });
  const most = ALLOCATION_FLOOR_BYTES + ALLOCATION_PER_INPUT_BYTE * bytes.length + (target.allocationMax ?? 0);
  demand(allocated <= most, `${allocated} bytes of buffers for an input of ${bytes.length}`);
  return verdict as Verdict;
}

function hashOf(name: string, seed: number): number {
  let hash = seed >>> 0;
  for (let place = 0; place < name.length; place += 1)
    hash = Math.imul(hash ^ name.charCodeAt(place), 0x0100_0193) >>> 0;
  return new Prng(hash).u32();
}
