/** scratch */
import { it, expect } from "vitest";
import { Server, temporaryFolder } from "./server.ts";
it("starts", async () => {
  const data = temporaryFolder();
  const t = performance.now();
  const s = await Server.start(data, { args: ["--segment-bytes", "1MiB"], limits: { imageEveryMs: 50, snapshotEveryBytes: 1000000, housekeepingEveryMs: 50, segmentBytes: 5 } });
  console.log("start ms", performance.now() - t);
  const e = await s.stop();
  console.log(e);
});
