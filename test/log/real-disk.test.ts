import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRealDisk } from "../../log-server/log/real-disk.ts";
import { describeDisk } from "./disk-contract.ts";

describeDisk("real", async () => {
  const root = await mkdtemp(join(tmpdir(), "tidemark-disk-"));
  return { disk: openRealDisk(root), dispose: () => rm(root, { recursive: true, force: true }) };
});
