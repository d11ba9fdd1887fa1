/**
 * How `npm test` runs. The time limits are for a busy machine; no test asserts on time. Every core takes files: left to
 * itself the runner would keep one back, which on two cores is half of the machine. Files of one worker share what they
 * import, for to load a server anew for each takes longer than most tests of it: a test puts back what it changes of
 * the process or of a module, and the runner what it spied on.
 */
import { defineConfig, type ViteUserConfig } from "vitest/config";
import { COMPILE_CACHE } from "./compile-cache.ts";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/conformance/**", "test/process/**", "test/browser/**"],
    setupFiles: ["test/property-seed.ts"],
    maxWorkers: "100%",
    isolate: false,
    restoreMocks: true,
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE },
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});

export default config;
