/** How the public suite runs: one file, against the server that `run.ts` has started. */
import { defineConfig } from "vitest/config";

// oxlint-disable-next-line import/no-default-export -- what vitest looks for
export default defineConfig({ test: { include: ["suite.test.mjs"], testTimeout: 30_000, hookTimeout: 30_000 } });
