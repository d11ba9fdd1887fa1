/**
 * Puts a mutant's patch into its file when that is loaded, in this process only: production code has no switches. What
 * is imported before is loaded as it is, so a world is imported after.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import type { Mutant, Patch } from "./mutant.ts";

const ROOT = new URL("../../../", import.meta.url);

export function patchesOf({ file, find, replace, without }: Pick<Mutant, keyof Patch | "without">): readonly Patch[] {
  return [{ file, find, replace }, ...(without === undefined ? [] : [without])];
}

/** Throws where the patch no longer fits: a mutant of something else proves nothing. */
export function patched({ file, find, replace }: Patch, source: string): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`a patch of ${file} does not fit: its text is ${parts.length - 1} times in it: ${find}`);
  return parts.join(replace);
}

export function sourceOf({ file }: Pick<Patch, "file">): string {
  return readFileSync(new URL(file, ROOT), "utf8");
}

/** From now on the files are loaded with the patches in them. `applied` says whether they were. */
export function patchOnLoad(patches: readonly Patch[]): { readonly applied: () => boolean } {
  const sources = new Map(
    patches.map((patch) => [new URL(patch.file, ROOT).href, patched(patch, sourceOf(patch))] as const),
  );
  const loadedOnes = new Set<string>();
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      const source = sources.get(url);
      if (source === undefined) return loaded;
      loadedOnes.add(url);
      return { ...loaded, source };
    },
  });
  return { applied: () => loadedOnes.size === sources.size };
}
