import { defineConfig } from 'vitest/config';

/** Where .ci/run wants the results as JSON, beside what people read. */
const reportPath = process.env.DFS_TEST_REPORT;

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters:
      reportPath === undefined ? ['default'] : ['default', ['json', { outputFile: reportPath }]],
  },
});
