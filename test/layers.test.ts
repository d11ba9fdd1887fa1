/**
 * Holds the layers: a file imports only from a lower rank or from its own folder, and the shared, the server's and
 * the client's side meet only in the composition roots. ARCHITECTURE.md, "The map", shows the same table.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, ROOT, sourceFiles, type SourceFile } from "./source-tree.ts";

/** What the roots wire together: real disks, sockets, clocks. They may import one another. */
const ROOTS_RANK = 6;

type Layer = { readonly folder: string; readonly rank: number };

/** The longest matching folder counts. A folder owns what is below it. */
const LAYERS: readonly Layer[] = [
  { folder: "src/lib", rank: 0 },
  { folder: "src/ports", rank: 0 },
  { folder: "src/record", rank: 1 },
  { folder: "src/sim", rank: 1 },
  { folder: "src/wire", rank: 2 },
  { folder: "src/operators", rank: 3 },
  { folder: "log-server/raft", rank: 3 },
  { folder: "log-server/streams", rank: 3 },
  { folder: "log-server/log", rank: 3 },
  { folder: "log-server/node", rank: 4 },
  { folder: "src/runtime", rank: 4 },
  { folder: "log-server/peer", rank: 5 },
  { folder: "log-server/http", rank: 5 },
  { folder: "log-server/ws", rank: 5 },
  { folder: "log-server/observe", rank: 5 },
  { folder: "client", rank: 5 },
  { folder: "log-server", rank: ROOTS_RANK },
  { folder: "log-server/sim", rank: ROOTS_RANK },
  { folder: "client/cli", rank: ROOTS_RANK },
  { folder: "client/testing", rank: ROOTS_RANK },
  { folder: "client/console", rank: ROOTS_RANK },
  { folder: "client/examples", rank: ROOTS_RANK },
  { folder: "test", rank: 8 },
  { folder: "bench", rank: 7 },
];

function layerOf(path: string): Layer | undefined {
  const holding = LAYERS.filter(({ folder }) => path.startsWith(`${folder}/`));
  return holding.toSorted((a, b) => b.folder.length - a.folder.length)[0];
}

function side(path: string): string {
  return path.slice(0, path.indexOf("/"));
}

/** Why `from` must not import `to`, both paths from the project's root; undefined if it may. */
function objection(from: string, to: string): string | undefined {
  const mine = layerOf(from);
  const theirs = layerOf(to);
  if (mine === undefined) return `${from} is in no layer: give its folder a rank`;
  if (theirs === undefined) return `${from} imports ${to}, which is in no layer`;
  if (mine.folder === theirs.folder) return undefined;
  const edge = `${from} (${mine.folder}, rank ${mine.rank}) imports ${to} (${theirs.folder}, rank ${theirs.rank})`;
  if (mine.rank === ROOTS_RANK && theirs.rank === ROOTS_RANK) return undefined;
  if (mine.rank <= theirs.rank) return `${edge}: imports go down, never up or sideways`;
  if (mine.rank < ROOTS_RANK && side(to) !== "src" && side(to) !== side(from)) {
    return `${edge}: below rank ${ROOTS_RANK}, ${side(from)} does not know ${side(to)}; what they share belongs in src`;
  }
  return undefined;
}

function target(file: SourceFile, specifier: string): string {
  return join(file.folder, specifier).replaceAll("\\", "/");
}

describe("layers", () => {
  const files = sourceFiles();

  it("finds the source", () => {
    expect(files.length).toBeGreaterThan(40);
    expect(ROOT).not.toBe("");
  });

  it("every import goes down", () => {
    const objections = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => objection(file.path, target(file, specifier)))
        .filter((found) => found !== undefined),
    );
    expect(objections).toEqual([]);
  });

  it.each([
    ["src/lib/bytes.ts", "src/record/batch.ts", "never up"],
    ["log-server/raft/a.ts", "log-server/log/b.ts", "sideways"],
    ["client/a.ts", "log-server/streams/b.ts", "does not know"],
    ["src/runtime/a.ts", "log-server/log/b.ts", "does not know"],
    ["log-server/http/a.ts", "log-server/observe/b.ts", "sideways"],
    ["log-server/node/a.ts", "log-server/start-node.ts", "never up"],
    ["elsewhere/a.ts", "src/lib/bytes.ts", "no layer"],
  ])("refuses %s importing %s", (from, to, why) => {
    expect(objection(from, to)).toContain(why);
  });

  it.each([
    ["log-server/streams/a.ts", "src/wire/command.ts"],
    ["client/cli/serve.ts", "log-server/main.ts"],
    ["client/a.ts", "client/b.ts"],
    ["test/log/a.test.ts", "log-server/log/b.ts"],
  ])("allows %s importing %s", (from, to) => {
    expect(objection(from, to)).toBeUndefined();
  });
});
