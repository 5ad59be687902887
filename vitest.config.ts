import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    reporters: ['default', './test/helpers/closing-line.ts'],
    projects: [
      {
        test: {
          name: 'server',
          include: ['test/**/*.test.ts'],
          globalSetup: ['test/helpers/global-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'compat',
          include: ['compat/*.test.ts'],
          globalSetup: ['compat/global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          maxWorkers: 2,
          // After the server's own tests, which are fast and say more.
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'differential',
          include: ['compat/differential/*.test.ts'],
          globalSetup: ['compat/differential/global-setup.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
