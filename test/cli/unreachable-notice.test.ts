/** What a verb says while no server answers. */
import { channel } from "node:diagnostics_channel";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { noticeUnreachable } from "../../client/cli/unreachable-notice.ts";
import { TidemarkError } from "../../client/index.ts";
import { Sink } from "./shell.ts";

const ENDS = channel("tracing:tidemark:request:asyncEnd");
const FAILED = new TidemarkError("connection-failed", "cannot connect to http://h:1: ECONNREFUSED");

let stderr: Sink;

beforeEach(() => {
  vi.useFakeTimers();
  stderr = new Sink();
  noticeUnreachable(stderr, "http://h:1", 30);
});

afterEach(() => {
  vi.useRealTimers();
});

/** Ends one, of the client of this port. */
function attempt(error?: Error, port = 1): void {
  ENDS.publish({ attributes: { "server.address": "h", "server.port": port }, error });
}

describe("while no server answers", () => {
  it("that is said once, after a moment", () => {
    attempt(FAILED);
    vi.advanceTimersByTime(1_900);
    attempt(new TidemarkError("connection-failed", "cannot connect to http://h:1: ETIMEDOUT"));
    expect(stderr.text).toBe("");
    vi.advanceTimersByTime(60_000);
    attempt(FAILED);
    vi.advanceTimersByTime(60_000);
    expect(stderr.text).toBe(
      'tidemark: cannot connect to http://h:1: ETIMEDOUT; trying for 30 s ("tidemark serve" starts a server)\n',
    );
  });

  it("nothing is, where one does soon, or says what is wrong", () => {
    attempt(FAILED);
    attempt(new TidemarkError("app-not-found"));
    attempt(FAILED);
    vi.advanceTimersByTime(60_000);
    expect(stderr.text).toBe("");
  });

  it("what others hear is theirs", () => {
    attempt(FAILED, 2);
    attempt(new TidemarkError("unavailable", "no leader"));
    attempt(undefined, 2);
    vi.advanceTimersByTime(60_000);
    expect(stderr.text).toBe("tidemark: no leader; trying for 30 s\n");
  });
});
