/** Waiting readers keep a stream alive, however long it lives. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { SYSTEM_CLOCK } from "../../log-server/system.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

let server: TestServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

const TIMER_MS_MAX = 2 ** 31 - 1;

describe("a wait at the tail of a stream with a sliding time to live", () => {
  it.each([10, 4_000_000, 1_000_000_000])(
    "of %i seconds refreshes it by a timer that the platform holds",
    async (ttl) => {
      server = await startTestServer();
      const { node, url } = server;
      const scheduled = vi.spyOn(SYSTEM_CLOCK, "schedule");
      let delays: readonly number[] = [];
      try {
        const headers = { "stream-ttl": `${ttl}`, "content-type": "text/plain" };
        expect((await fetch(`${url}/v1/stream/s`, { method: "PUT", headers })).status).toBe(201);
        const waiting = fetch(`${url}/v1/stream/s?offset=now&live=long-poll`);
        while (node.status().waitingReaders === 0) await new Promise((resolve) => setImmediate(resolve));
        await fetch(`${url}/v1/stream/s`, { method: "POST", headers: { "content-type": "text/plain" }, body: "x" });
        expect(await (await waiting).text()).toBe("x");
        delays = scheduled.mock.calls.map(([delayMs]) => delayMs);
      } finally {
        scheduled.mockRestore();
      }
      expect(delays).toContain(Math.min((ttl * 1_000) / 2, 3_600_000));
      expect(Math.max(...delays)).toBeLessThanOrEqual(TIMER_MS_MAX);
    },
  );
});
