/**
 * Loaded into a server, or an app's workers, before their own code (`--import`): replaces constants in the files of limits as these load, so
 * that a short test meets rolls, seals, images, snapshots and trims. Production code has no switch for this. A name
 * that is not found stops the process: a test must not believe in a limit that is not there.
 */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const PATCHED = /\/(?:log-server\/(?:log|node)|src\/runtime\/snapshots)\/limits\.ts$/;

const wanted = new Map(Object.entries(JSON.parse(process.env["PATCHED_LIMITS"] ?? "{}") as Record<string, number>));
const missing = new Set(wanted.keys());

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith("file:") || !PATCHED.test(fileURLToPath(url))) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString();
    for (const [name, value] of wanted) {
      // In the object with the values, not in the type: that has `readonly` before the name.
      const pattern = new RegExp(`^(  ${name}: )[^\\n]+,$`, "m");
      if (!pattern.test(source)) continue;
      source = source.replace(pattern, `$1${value},`);
      missing.delete(name);
    }
    return { ...loaded, source };
  },
});

process.once("exit", () => {
  if (missing.size === 0 || process.exitCode !== undefined) return;
  process.stderr.write(`limits that are not there: ${[...missing].join(", ")}\n`);
  process.exitCode = 99;
});
