// One project a kind of test. `unit` needs nothing; the others share one set of servers (test/support/stack.ts).
// Groups run one after the other, so that what measures time or kills processes never competes with the rest.
import { defineConfig } from 'vitest/config';

const servers = {
  environment: 'node',
  globalSetup: ['test/support/stack.ts'],
  testTimeout: 120_000,
  hookTimeout: 120_000,
} as const;

export default defineConfig({
  test: {
    // Projects without files yet are no failure.
    passWithNoTests: true,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          environment: 'node',
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...servers,
          name: 'store',
          include: ['test/store/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...servers,
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts'],
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...servers,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
