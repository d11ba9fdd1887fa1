/**
 * How `npm test` runs. The time limits are for a busy machine; no test asserts on time. Every core takes files: left to
 * itself the runner would keep one back, which on two cores is half of the machine.
 */
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { COMPILE_CACHE } from "./compile-cache.ts";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/conformance/**", "test/process/**", "test/browser/**"],
    setupFiles: ["test/property-seed.ts"],
    maxWorkers: "100%",
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

export default config;
