/** What holds for every verb: help with an example, -o json, completions in three shells; and the server's verbs. */
import { spawnSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";
import { completionScript, SHELLS } from "../../client/cli/completion-scripts.ts";
import { completionTree, type CompletedVerb } from "../../client/cli/completion-tree.ts";
import { EXIT, exitCodeOf } from "../../client/cli/exit-codes.ts";
import { createProgram } from "../../client/cli/program.ts";
import { CLIENT_ERRORS, TidemarkError, type TidemarkErrorCode } from "../../client/error.ts";
import { ERRORS } from "../../src/wire/errors.ts";
import { file, shell, Sink } from "./shell.ts";

let tree: readonly CompletedVerb[];

beforeAll(async () => {
  const { stdin, interrupt } = shell();
  const io = { stdin, stdout: new Sink(), stderr: new Sink(), env: {}, interrupted: interrupt.signal };
  tree = completionTree(await createProgram(io, { onDone: () => undefined, onUsage: () => undefined }));
});

/** The verbs that do something, without the nouns above them. */
function actions(): readonly CompletedVerb[] {
  return tree.filter(({ path, verbs }) => path !== "" && verbs.length === 0);
}

describe("every verb", () => {
  it("is there", () => {
    const paths = actions().map(({ path }) => path);
    for (const expected of ["serve", "append", "read", "tail", "tx", "inspect", "config print", "version"])
      expect(paths).toContain(expected);
    for (const verb of ["list", "create", "show", "close", "delete", "trim", "settings"])
      expect(paths).toContain(`streams ${verb}`);
  });

  it("has help on standard output, with an example of itself", async () => {
    for (const { path } of tree.filter((verb) => verb.path !== "")) {
      const s = shell();
      expect(await s.tidemark(...path.split(" "), "--help")).toBe(0);
      expect(s.stdout.text).toMatch(/\nExamples?:\n/);
      expect(s.stdout.text).toContain(`tidemark ${path}`);
      expect(s.stderr.text).toBe("");
    }
  });

  it("prints JSON if asked, but for the demo", () => {
    const without = actions().filter(({ options }) => !options.some(({ names }) => names.includes("-o")));
    expect(without.map(({ path }) => path)).toEqual(["demo"]);
    for (const { options } of actions()) {
      const value = options.find(({ names }) => names.includes("-o"))?.value;
      if (value !== undefined) expect(value).toMatchObject({ kind: "words", words: expect.arrayContaining(["json"]) });
    }
  });

  it("the program's help lists the verbs and every exit status", async () => {
    const s = shell();
    expect(await s.tidemark("--help")).toBe(0);
    for (const { name } of tree[0]?.verbs ?? []) expect(s.stdout.text).toContain(`  ${name}`);
    for (const status of Object.values(EXIT)) expect(s.stdout.text).toMatch(new RegExp(`^  ${status}  +\\S`, "m"));
  });
});

describe("exit statuses", () => {
  it.each([
    ["stream-not-found", 3],
    ["offset-trimmed", 3],
    ["stream-gone", 3],
    ["condition-failed", 4],
    ["stream-closed", 4],
    ["stream-exists", 4],
    ["offset-mismatch", 4],
    ["producer-fenced", 4],
    ["overloaded", 5],
    ["unavailable", 5],
    ["disk-full", 5],
    ["timeout", 5],
    ["connection-failed", 5],
    ["unauthorized", 6],
    ["outcome-unknown", 7],
    ["connection-lost", 7],
    ["damaged", 8],
    ["invalid-argument", 2],
    ["malformed-json", 2],
    ["record-too-large", 2],
    ["aborted", 130],
    ["protocol-error", 1],
    ["internal", 7],
  ] satisfies readonly (readonly [TidemarkErrorCode, number])[])("%s: %i", (code, status) => {
    expect(exitCodeOf(new TidemarkError(code))).toBe(status);
  });

  it("a retryable error whose outcome is unknown is not one to try again blindly", () => {
    expect(exitCodeOf(new TidemarkError("timeout", "", { outcome: "unknown" }))).toBe(EXIT.outcomeUnknown);
  });

  it("every code has one, and none is success", () => {
    const statuses = new Set<number>(Object.values(EXIT));
    for (const code of [...Object.keys(ERRORS), ...Object.keys(CLIENT_ERRORS)] as TidemarkErrorCode[]) {
      const status = exitCodeOf(new TidemarkError(code));
      expect(status).not.toBe(0);
      expect(statuses.has(status)).toBe(true);
    }
  });
});

describe("completions", () => {
  it.each(SHELLS)("%s: verbs, options and values are in the script", (name) => {
    const script = completionScript(name, tree);
    for (const { path, options } of tree) {
      expect(script).toContain(path);
      for (const { names } of options)
        for (const option of names) expect(script).toContain(name === "fish" ? option.replace(/^-+/, "") : option);
    }
    expect(script).toContain("ndjson");
  });

  it.each(SHELLS)("%s: the script is well-formed, where that shell is here", (name) => {
    const checked = spawnSync(name, ["-n"], { input: completionScript(name, tree), encoding: "utf8" });
    if (checked.error !== undefined && name !== "bash") return;
    expect({ status: checked.status, err: checked.stderr }).toEqual({ status: 0, err: "" });
  });

  it.each([
    [["tidemark", "str"], ["streams"]],
    [
      ["tidemark", "streams", "s"],
      ["show", "settings"],
    ],
    [["tidemark", "append", "orders", "--for"], ["--format"]],
    [
      ["tidemark", "append", "orders", "--format", ""],
      ["lines", "ndjson", "records", "csv", "whole"],
    ],
    [["tidemark", "read", "-o", "js"], ["json"]],
    [["tidemark", "completion", "z"], ["zsh"]],
    [["tidemark", "serve", "--li"], ["--listen"]],
  ])("bash completes %j", (words, expected) => {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    const run = `${completionScript("bash", tree)}
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _tidemark; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync("bash", ["--norc"], { input: run, encoding: "utf8" });
    expect(stderr).toBe("");
    expect(stdout.trim().split("\n").toSorted()).toEqual([...expected].toSorted());
  });

  it("the verb prints it", async () => {
    const s = shell();
    expect(await s.tidemark("completion", "bash")).toBe(0);
    expect(s.stdout.text).toBe(completionScript("bash", tree));
  });
});

describe("config print", () => {
  it("prints what is in effect and where it comes from", async () => {
    const s = shell({ env: { TIDEMARK_LOG_LEVEL: "warn" } });
    expect(await s.tidemark("config", "print", "--listen", "127.0.0.1:9", "-o", "json")).toBe(0);
    expect(JSON.parse(s.stdout.text)).toMatchObject({
      listen: { value: "127.0.0.1:9", from: "--listen" },
      logLevel: { value: "warn", from: "TIDEMARK_LOG_LEVEL" },
    });
    s.stdout.text = "";
    expect(await s.tidemark("config", "print", "--output=text")).toBe(0);
    expect(s.stdout.text).toMatch(/logLevel +warn {2}\(TIDEMARK_LOG_LEVEL\)/);
  });

  it("tells all that is wrong at once, in JSON too", async () => {
    const s = shell();
    const wrong = ["--listen", "nowhere", "--nonsense", "--config", file("c.json", "[]")];
    expect(await s.tidemark("config", "print", ...wrong)).toBe(2);
    expect(s.stderr.text.split("\n  - ")).toHaveLength(4);
    const t = shell();
    expect(await t.tidemark("config", "print", ...wrong, "-o", "json")).toBe(2);
    expect(JSON.parse(t.stderr.text)).toMatchObject({ error: { code: "misconfigured", problems: { length: 3 } } });
  });
});
