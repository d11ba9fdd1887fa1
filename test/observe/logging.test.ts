/** One event per line; never a payload, never a secret. */
import { describe, expect, it } from "vitest";
import { openLog } from "../../log-server/observe/logging.ts";
import { ProgressMeter } from "../../log-server/observe/progress.ts";

function logged(
  code: string,
  detail: Record<string, unknown>,
  level: Parameters<typeof openLog>[0] = "info",
): Record<string, unknown>[] {
  const lines: string[] = [];
  openLog(level, { write: (line) => lines.push(line) }).event(code, detail);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("the log", () => {
  it("writes one line with its code, level and details", () => {
    expect(logged("snapshot", { position: 7 })).toEqual([
      { level: "info", time: expect.any(String), pid: process.pid, event: "snapshot", position: 7 },
    ]);
  });

  it.each([
    ["snapshot", "info"],
    ["checkpoint-failed", "error"],
    ["node-failed", "fatal"],
    ["disk-full", "warn"],
  ])("%s is %s", (code, level) => {
    expect(logged(code, {})[0]?.["level"]).toBe(level);
  });

  it("is silent when told to be", () => {
    expect(logged("node-failed", {}, "silent")).toEqual([]);
    expect(logged("recovery-progress", {}, "info")).toEqual([]);
  });

  it("counts bytes instead of showing them, and cuts what is long or deep", () => {
    const deep = { a: { b: { c: { d: 1 } } } };
    const [line] = logged("x", { payload: new Uint8Array(9), text: "y".repeat(10_000), hash: 12n, deep, none: null });
    expect(line).toMatchObject({ payload: "(9 bytes)", hash: "12", deep: { a: { b: "(…)" } }, none: null });
    expect(String(line?.["text"]).length).toBeLessThan(600);
  });

  it("masks what is named like a secret, wherever it is", () => {
    const [line] = logged("x", { token: "t", headers: { Authorization: "Bearer t" }, privateKey: "k" });
    expect(JSON.stringify(line)).not.toMatch(/"t"|Bearer|"k"/);
  });

  it("shows an error's message and code, not its stack", () => {
    const [line] = logged("x", { error: Object.assign(new Error("broken"), { code: "EIO" }) });
    expect(line?.["error"]).toEqual({ name: "Error", message: "broken", code: "EIO" });
  });
});

describe("progress", () => {
  it("knows rate and time to go, from where its phase began", () => {
    let now = 0;
    const clock = {
      monotonic: () => now,
      now: () => 0,
      schedule: () => ({ cancel: () => undefined }),
      defer: () => undefined,
    };
    const meter = new ProgressMeter(clock, "scan");
    expect(meter.progress).toEqual({ phase: "scan", done: 0, total: 0, rate: 0, etaSeconds: 0 });
    now = 1_000;
    meter.update("replay", 100, 500);
    expect(meter.progress.etaSeconds).toBeUndefined();
    now = 3_000;
    meter.update("replay", 300, 500);
    expect(meter.progress).toEqual({ phase: "replay", done: 300, total: 500, rate: 100, etaSeconds: 2 });
  });
});
