import { defineConfig } from 'vitest/config'

// Tests run the sources (the `coppice-source` condition), so no build stands between an edit and its test;
// the process tests start the built command as a user would.
const resolve = { conditions: ['coppice-source'] }
const ssr = { resolve: { conditions: ['coppice-source', 'node', 'import', 'module', 'default'] } }

// One for each of two cores: by default vitest leaves one idle.
const maxWorkers = 2

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: {
          name: 'unit',
          include: ['test/{unit,scenario,conformance}/**/*.test.ts'],
          testTimeout: 60_000,
          maxWorkers,
        },
      },
      {
        resolve,
        ssr,
        test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'], testTimeout: 1_200_000, maxWorkers },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'process',
          include: ['test/process/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
