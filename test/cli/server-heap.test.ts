/** Where a server's process begins anew with a heap of its own, and where it does not. */
import { describe, expect, it } from "vitest";
import { type ServerProcess, setServerHeap } from "../../client/cli/server-heap.ts";

const FLAG = "--max-semi-space-size=4";

/** What the process was begun anew with. */
function begunAnew(args: readonly string[], given: Partial<ServerProcess> = {}): readonly string[] | undefined {
  let begun: readonly string[] | undefined;
  setServerHeap({
    execPath: "/bin/node",
    execArgv: [],
    argv: ["/bin/node", "/bin/tidemark", ...args],
    env: {},
    execve: (_file, argv) => (begun = argv),
    ...given,
  });
  return begun;
}

describe("the heap of a server's process", () => {
  it("is set by beginning anew with all that was given", () => {
    expect(begunAnew(["serve", "--data", "d"], { execArgv: ["--cpu-prof"] })).toEqual([
      "/bin/node",
      "--cpu-prof",
      FLAG,
      "/bin/tidemark",
      "serve",
      "--data",
      "d",
    ]);
  });

  it("is not set twice, nor where someone has chosen another", () => {
    expect(begunAnew(["serve"], { execArgv: [FLAG] })).toBeUndefined();
    expect(begunAnew(["serve"], { execArgv: ["--max-semi-space-size=64"] })).toBeUndefined();
    expect(begunAnew(["serve"], { env: { NODE_OPTIONS: "--trace-gc --max-semi-space-size=8" } })).toBeUndefined();
  });

  it("is left alone by other verbs, and where a process cannot begin anew", () => {
    expect(begunAnew(["append", "serve"])).toBeUndefined();
    expect(begunAnew([])).toBeUndefined();
    expect(begunAnew(["serve"], { execve: undefined })).toBeUndefined();
  });
});
