/**
 * House rules that neither the compiler nor the linter knows: what makes a pure folder pure, that every file says
 * what it is for, and that a dependency enters in one place.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { importsOf, ROOT, sourceFiles, type SourceFile } from "./source-tree.ts";

/** Synchronous; time and randomness are inputs (I10, I14). */
const PURE = ["src/lib", "src/record", "src/wire", "src/operators", "log-server/raft", "log-server/streams"];

const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\b/, "a clock"],
  [/\bperformance\./, "a clock"],
  [/\bMath\.random\b|\bcrypto\./, "randomness"],
  [/\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/, "a timer"],
  [/\basync\b|\bawait\b|\bPromise\b/, "a promise"],
  [/\bfetch\(|\bprocess\./, "the outside"],
];

/** What names a thing of the outside in a pure folder, and why it stays pure. */
const PURE_ALL_THE_SAME: Readonly<Record<string, string>> = {
  "src/record/checksum.ts":
    "the checksum is WebAssembly, which only loads asynchronously: once, before anything else runs",
  "src/operators/engine/guards.ts": "what it names, it takes away from callbacks",
  "src/operators/encoding/value-codec.ts": "a Date is a value there, made from a number",
};

/** Which part may import a package: a dependency is met in one place. `node:` is no package. */
const OWNERS: Readonly<Record<string, string | readonly string[]>> = {
  "@fastify/swagger": "log-server/http/openapi/",
  "@fastify/type-provider-typebox": "log-server/http/typed-routes.ts",
  "@fastify/websocket": "log-server/ws/",
  // Types only.
  "@standard-schema/spec": ["client/", "src/operators/"],
  "close-with-grace": "log-server/main.ts",
  "commander": "client/cli/",
  "csv-parse": "client/cli/csv.ts",
  "fastify": "log-server/http/",
  "lmdb": "log-server/log/disk/lmdb-kv.ts",
  "pino": "log-server/observe/logging.ts",
  "prom-client": "log-server/observe/metric-set.ts",
  "typebox": "log-server/http/",
  "valibot": "client/examples/",
  "ws": "log-server/ws/",
  "xxhash-wasm": "src/record/checksum.ts",
};
const ONLY_TESTS = ["test/", "bench/"];
const LINES_MAX = 800;

function isIn(file: SourceFile, folders: readonly string[]): boolean {
  return folders.some((folder) => file.path.startsWith(folder.endsWith("/") ? folder : `${folder}/`));
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

describe("house rules", () => {
  const files = sourceFiles();

  it("pure folders are pure", () => {
    const found = files
      .filter((file) => isIn(file, PURE) && !(file.path in PURE_ALL_THE_SAME))
      .flatMap((file) =>
        file.code
          .split("\n")
          .flatMap((line, place) =>
            IMPURE.filter(([pattern]) => pattern.test(line.replace(/"[^"]*"|`[^`]*`/g, ""))).map(
              ([, what]) => `${file.path}:${place + 1} uses ${what}: ${line.trim()}`,
            ),
          ),
      );
    expect(found).toEqual([]);
  });

  it("what browsers run imports nothing of Node", () => {
    const rootsAndTests = ["client/cli", "client/examples", "client/testing", "client/console"];
    const found = files
      .filter((file) => isIn(file, [...PURE, "src", "client"]) && !isIn(file, rootsAndTests))
      .filter((file) => importsOf(file).some((specifier) => specifier.startsWith("node:")))
      .map((file) => file.path);
    expect(found).toEqual([]);
  });

  it("every file opens with what it is for", () => {
    const found = files
      .filter((file) => !file.path.endsWith(".d.ts") || file.path.startsWith("src/"))
      .filter((file) => !/^(?:#!.*\n)?\/\*\*/.test(file.text))
      .map((file) => file.path);
    expect(found).toEqual([]);
  });

  it(`no file is longer than ${LINES_MAX} lines`, () => {
    const found = files
      .filter((file) => !isIn(file, ONLY_TESTS))
      .map((file) => ({ path: file.path, lines: file.text.split("\n").length }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(found).toEqual([]);
  });

  it("no loose ends", () => {
    const marks = new RegExp(["TO", "DO|FIX", "ME|X", "XX"].join(""));
    const found = files.filter((file) => marks.test(file.text)).map((file) => file.path);
    expect(found).toEqual([]);
  });

  it("a file that another names is there", () => {
    const found = files.flatMap((file) =>
      [...file.text.matchAll(/`([\w./-]+\.ts)`/g)]
        .map(([, name]) => name as string)
        .filter((name) => !files.some(({ path }) => path === name || path.endsWith(`/${name.replace(/^\.+\//, "")}`)))
        .map((name) => `${file.path} names ${name}`),
    );
    expect(found).toEqual([]);
  });

  it("a dependency is imported in one place", () => {
    const found = files
      .filter((file) => !isIn(file, ONLY_TESTS))
      .flatMap((file) =>
        importsOf(file)
          .filter((specifier) => !specifier.startsWith(".") && !specifier.startsWith("node:"))
          .filter((specifier) => {
            const owner = OWNERS[packageOf(specifier)];
            return owner === undefined || ![owner].flat().some((folder) => file.path.startsWith(folder));
          })
          .map((specifier) => `${file.path} imports ${specifier}`),
      );
    expect(found).toEqual([]);
  });

  it("versions are pinned exactly", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<
      string,
      Record<string, string>
    >;
    const versions = Object.entries({ ...manifest["dependencies"], ...manifest["devDependencies"] });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});
