/** Apps as a user's shell loads them: in a process of their own, with whatever is wrong in them. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROOT } from "../source-tree.ts";

const COMMAND_LINE = join(ROOT, "client/cli/bin.ts");
const OPERATORS = pathToFileURL(join(ROOT, "src/operators/index.ts")).href;

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-apps-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(args: readonly string[]): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, args, { cwd: folder });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => {
    child.once("close", (status) => resolve({ status, out, err }));
  });
}

const describeApp = (file: string, ...options: readonly string[]) =>
  run([COMMAND_LINE, "apps", "describe", file, ...options]);

/** Tries to load each, in one process; answers what is said of it. */
const LOAD_ALL = `
import { loadApp } from ${JSON.stringify(pathToFileURL(join(ROOT, "client/cli/apps/app-module.ts")).href)};
const said = [];
for (const file of process.argv.slice(1))
  await loadApp(file, new AbortController().signal).then(() => said.push("loaded"), ({ message }) => said.push(message));
console.log(JSON.stringify(said));
`;

it("an app is shown as text, as a flowchart, and as JSON", async () => {
  const example = join(ROOT, "client/examples/01-word-count.ts");
  const [text, mermaid, json] = await Promise.all([
    describeApp(example),
    describeApp(example, "-o", "mermaid"),
    describeApp(example, "-o", "json"),
  ]);
  expect(text.out).toMatch(/^app word-count, version 1\n {2}stage 0, 1 task\n {4}stream-1 +stream \(lines\)\n/);
  expect(mermaid.out).toMatch(/^flowchart LR\n/);
  const { app, stages } = JSON.parse(json.out) as { app: string; stages: { partitions: number; nodes: object[] }[] };
  expect([app, stages.map(({ partitions, nodes }) => [partitions, nodes.length])]).toEqual(["word-count", [[1, 5]]]);
  expect([text, mermaid, json].map(({ status, err }) => [status, err])).toEqual([
    [0, ""],
    [0, ""],
    [0, ""],
  ]);
});

it("what a module holds open keeps no verb, and one that waits for ever can be interrupted", async () => {
  const held = "setInterval(() => {}, 1_000_000);\n";
  const app = `import { topology } from "${OPERATORS}";\nconst app = topology("held");\napp.stream("in").to("out");\n`;
  writeFileSync(join(folder, "held.ts"), `${app}${held}export default app;\n`);
  expect(await describeApp("held.ts")).toMatchObject({ status: 0, err: "", out: expect.stringMatching(/^app held,/) });
  writeFileSync(join(folder, "waits.ts"), `${held}console.log("here");\nawait new Promise(() => {});\n`);
  const waits = spawn(process.execPath, [COMMAND_LINE, "apps", "describe", "waits.ts"], { cwd: folder });
  waits.stdout.once("data", () => waits.kill("SIGINT"));
  expect(await new Promise((resolve) => waits.once("close", resolve))).toBe(130);
});

it("what is wrong with an app is told with its place", async () => {
  const begin = `import { topology, tumbling } from "${OPERATORS}";\n`;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ["syntax.ts", `${begin}const app = topology("a"\nexport default app;\n`, /^syntax\.ts:3: SyntaxError: /],
    ["enum.ts", "enum A { b }\nexport default A.b;\n", /^enum\.ts:1: SyntaxError: .*enum is not supported/],
    [
      "topology.ts",
      `${begin}const app = topology("a");\napp.stream("in").groupByKey().window(\n  tumbling({ sizeMs: 0 }));\nexport default app;\n`,
      /^topology\.ts:3:31: TopologyError: sizeMs is 0; give it whole milliseconds, from 1 to 2251799813685247$/,
    ],
    ["thrown.ts", `${begin}const none = null;\nnone.a;\n`, /^thrown\.ts:3:6: TypeError: /],
    ["empty.ts", `${begin}export default topology("a");\n`, /^empty\.ts: TopologyError: .*begin with/],
    ["other.ts", "export default 5;\n", /^other\.ts exports a number by default; export default topology/],
    ["nothing.ts", "export const app = 5;\n", /^nothing\.ts has no default export/],
    [
      "missing.ts",
      'import "tidemark/operators";\nexport default 5;\n',
      /^missing\.ts: Error: Cannot find package 'tidemark' .*\(npm install tidemark beside it\)/,
    ],
    ["stuck.ts", "await new Promise(() => {});\n", /^stuck\.ts: .* waits for something that never comes$/],
    ["bare.ts", "export default { __proto__: null };\n", /^bare\.ts exports no topology by default/],
    ["null.ts", "throw Object.create(null);\n", /^null\.ts: thrown: something that has no text$/],
    [".", "", /^there is no file "\."$/],
    ["not/there.ts", "", /^there is no file "not\/there\.ts"/],
  ];
  for (const [file, text] of cases) if (text !== "") writeFileSync(join(folder, file), text);
  const files = cases.map(([file]) => file);
  const { out, err } = await run(["--input-type=module", "-e", LOAD_ALL, ...files]);
  expect(err).toBe("");
  const said = JSON.parse(out) as string[];
  expect(files.map((file, at) => [file, said[at]])).toEqual(
    cases.map(([file, , message]) => [file, expect.stringMatching(message)]),
  );
  expect(await describeApp("thrown.ts")).toEqual({
    status: 2,
    out: "",
    err: "tidemark: thrown.ts:3:6: TypeError: Cannot read properties of null (reading 'a') (invalid-argument)\n",
  });
});
