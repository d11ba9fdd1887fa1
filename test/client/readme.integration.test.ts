/** The README's TypeScript does what it says: each of its blocks runs as a program of its own, against a real node. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect } from "../../client/index.ts";
import { startNode, type RunningNode } from "../../log-server/start-node.ts";
import { ROOT } from "../source-tree.ts";

const SHOWN_URL = "http://127.0.0.1:4437";
/** Programs start slowly on a busy machine. */
const RUN_TIMEOUT_MS = 120_000;
const MODULES: Readonly<Record<string, string>> = {
  "tidemark": join(ROOT, "client/index.ts"),
  "tidemark/operators": join(ROOT, "src/operators/index.ts"),
  "tidemark/server": join(ROOT, "log-server/index.ts"),
  "tidemark/testing": join(ROOT, "client/testing/index.ts"),
  "valibot": join(ROOT, "node_modules/valibot/dist/index.mjs"),
  "vitest": join(ROOT, "node_modules/vitest/dist/index.js"),
};

let folder = "";
let node: RunningNode;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tidemark-readme-"));
  node = await startNode({ dataDirectory: join(folder, "data"), listen: "127.0.0.1:0" });
});

afterAll(async () => {
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

function blocks(heading: string): string[] {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const [section = ""] = readme.slice(readme.indexOf(`## ${heading}\n`)).split("\n## ");
  return [...section.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) => code);
}

/** The block with what the ones before it showed already. */
function program(block: string): string {
  const shown = [
    block.includes('from "tidemark"') ? "" : 'import { connect } from "tidemark";\n',
    block.includes("client = connect(") ? "" : `await using client = connect("${SHOWN_URL}");\n`,
  ];
  return placed(`${shown.join("")}${block}`);
}

/** With places in it that exist here. */
function placed(code: string): string {
  return code
    .replaceAll(SHOWN_URL, node.url)
    .replaceAll(/from "([a-z][^"]+)"/g, (_, name: string) => `from "${pathToFileURL(MODULES[name] ?? name).href}"`);
}

/** The server is in this process, so the program must not block it. */
async function run(...args: string[]): Promise<{ readonly status: number | null; readonly output: string }> {
  const child = spawn(process.execPath, args, { timeout: RUN_TIMEOUT_MS, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const status = await new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  return { status, output };
}

it("every block runs", { timeout: RUN_TIMEOUT_MS }, async () => {
  const found = blocks("From TypeScript");
  expect(found.length).toBeGreaterThanOrEqual(5);
  const outputs: string[] = [];
  for (const [place, block] of found.entries()) {
    const file = join(folder, `block-${place}.ts`);
    writeFileSync(file, program(block));
    const { status, output } = await run(file);
    expect([status, status === 0 ? "" : `${block}\n${output}`]).toEqual([0, ""]);
    outputs.push(output);
  }
  expect(outputs[0]).toContain("996 { id: 999 }");
  expect(outputs.join("\n")).toContain("kind: 'append'");
  expect(outputs.join("\n")).toContain("mailed { id: 44 }");
  expect(outputs.join("\n")).toContain("orders 42");
  await using client = connect(node.url);
  expect(await client.stream("orders").describe()).toMatchObject({ firstOffset: 100, nextOffset: 998 });
});

it("the topology and its test run", { timeout: RUN_TIMEOUT_MS }, async () => {
  const [app = "", test = ""] = blocks("Stream operators");
  const [file, testFile] = [join(folder, "delays.ts"), join(folder, "delays.test.ts")];
  writeFileSync(file, placed(app));
  writeFileSync(testFile, placed(test));
  const { status, output } = await run(join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--root", folder);
  expect([status, output]).toEqual([0, expect.stringMatching(/Tests .*2 passed/)]);
});
