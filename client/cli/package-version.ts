/** The version of this package, from the manifest above this file, wherever a build has put it. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

export function packageVersion(): string {
  for (let folder = import.meta.dirname; folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = readManifest(join(folder, "package.json"));
    if (manifest?.name === "tidemark") return manifest.version ?? "unknown";
  }
  return "unknown";
}

function readManifest(path: string): { readonly name?: string; readonly version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as { readonly name?: string; readonly version?: string };
  } catch {
    return undefined;
  }
}
