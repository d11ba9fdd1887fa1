/** How `npm run browser` runs: the SDK in headless Chromium. Needs `/usr/bin/chromium`. */
import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});

export default config;
