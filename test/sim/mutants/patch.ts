/**
 * Puts a mutant's patch into its file when that is loaded, in this process only: production code has no switches. What
 * is imported before is loaded as it is, so a world is imported after.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import type { Mutant } from "./mutant.ts";

type Patch = Pick<Mutant, "name" | "file" | "find" | "replace">;

const ROOT = new URL("../../../", import.meta.url);

/** Throws where the patch no longer fits: a mutant of something else proves nothing. */
export function patched({ name, file, find, replace }: Patch, source: string): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`the patch of ${name} does not fit: its text is ${parts.length - 1} times in ${file}`);
  return parts.join(replace);
}

export function sourceOf({ file }: Pick<Patch, "file">): string {
  return readFileSync(new URL(file, ROOT), "utf8");
}

/** From now on the file is loaded with the patch in it. `applied` says whether it was loaded. */
export function patchOnLoad(mutant: Patch): { readonly applied: () => boolean } {
  const target = new URL(mutant.file, ROOT).href;
  const source = patched(mutant, sourceOf(mutant));
  let applied = false;
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (url !== target) return loaded;
      applied = true;
      return { ...loaded, source };
    },
  });
  return { applied: () => applied };
}
