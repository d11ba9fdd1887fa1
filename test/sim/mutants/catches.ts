/**
 * What the zoo has caught so far, kept in a file: it takes long, and may be done in parts, by several processes at a time.
 * A row is of the patch and the file as they were: where either has changed since, it is to be caught anew.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { utf8 } from "../../../src/lib/bytes.ts";
import { xxh64 } from "../../../src/record/checksum.ts";
import { lock } from "../totals.ts";
import type { HuntReport } from "./hunt.ts";
import type { Mutant, MutantWorld } from "./mutant.ts";
import { patched, patchesOf, sourceOf } from "./patch.ts";

export type Catch = HuntReport & {
  /** Of the patched file. */
  readonly hash: string;
};

export type Catches = {
  /** By the mutant's name. */
  readonly caught: Record<string, Catch>;
  /** By world: so many seeds, from 1 on, have passed without a mutant. */
  readonly healthy: Partial<Record<MutantWorld, number>>;
};

export function readCatches(path: string | undefined): Catches {
  if (path === undefined || !existsSync(path)) return { caught: {}, healthy: {} };
  return JSON.parse(readFileSync(path, "utf8")) as Catches;
}

/** Adds to what is there by now. */
export function addCatches(path: string, more: Partial<Catches>): void {
  const release = lock(`${path}.lock`);
  try {
    const { caught, healthy } = readCatches(path);
    const all: Catches = { caught: { ...caught, ...more.caught }, healthy: { ...healthy, ...more.healthy } };
    writeFileSync(`${path}.new`, `${JSON.stringify(all, undefined, 2)}\n`);
    renameSync(`${path}.new`, path);
  } finally {
    release();
  }
}

export function hashOf(mutant: Mutant): string {
  return xxh64(
    utf8(
      patchesOf(mutant)
        .map((patch) => patched(patch, sourceOf(patch)))
        .join(""),
    ),
  ).toString(16);
}

/** For people: a line for each of these mutants. */
export function tableOf(mutants: readonly Mutant[], { caught }: Catches): string {
  const lines = mutants.map(({ name, source, world, assertion }) => {
    const found = caught[name];
    return `| ${[name, source, world, checkerOf(found, assertion), found?.seeds ?? ""].join(" | ")} |`;
  });
  return ["| bug | who had it | world | noticed by | seeds |", "|---|---|---|---|--:|", ...lines].join("\n");
}

function checkerOf(found: Catch | undefined, assertion: string | undefined): string {
  if (found === undefined) return "not tried";
  if (found.caught === undefined) return "nobody";
  const { file, message } = found.caught;
  const promise = /\b[INP]\d+\b/.exec(message)?.[0];
  const by = `\`${file ?? ""}\`${promise === undefined ? "" : `, ${promise}`}`;
  return assertion === undefined ? by : `assertion in ${by}: ${assertion}`;
}
