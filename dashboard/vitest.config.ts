import { defineConfig } from "vitest/config";

// What is tested is pure, or is given what it takes for the browser: there is no page, and no plugin is needed.
export default defineConfig({
  test: {
    include: ["tests/*.test.ts"],
    unstubGlobals: true,
    // Away from UTC, where it would not be seen that a zone is forgotten.
    env: { TZ: "Asia/Kathmandu" },
    // Each test puts back what it has stubbed, so files can share a process; starting one for each takes longer than the tests.
    isolate: false,
  },
});
