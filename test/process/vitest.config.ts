/** How `npm run process` runs: real servers that are killed, starved of disk and lied to. Needs root and strace. */
import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/process/**/*.test.ts"],
    maxWorkers: "100%",
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});

export default config;
