import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { IS_FULL } from './test/support/extent.js';

/** These change what others rely on in their process, kill what runs in it, or weigh its memory. */
const IN_PROCESSES_OF_THEIR_OWN = [
  'test/fault/**/*.test.ts',
  'test/integration/rights/holes.test.ts',
  'test/integration/rpc/young-streams.test.ts',
];

/**
 * Each of these starts and ends whole programs, PostgreSQL among them, again and again, which takes a minute on a slow
 * machine. `npm run test:full` and `npm run test:fault` run them too, and `npm test` says that it leaves them out.
 */
const IN_FULL_ONLY = [
  'test/fault/access.test.ts',
  'test/fault/embedded-*.test.ts',
  'test/fault/large-resources.test.ts',
  'test/fault/strangers.test.ts',
  'test/fault/workers.test.ts',
  'test/fault/simulation/broken-variants.test.ts',
  'test/integration/db/embedded-postgres.test.ts',
];

const leftOut = IS_FULL ? [] : IN_FULL_ONLY;

const shared = {
  pool: 'forks',
  testTimeout: 30_000,
  hookTimeout: 60_000,
  restoreMocks: true,
  // Slow machines may take that long for what is there at once on others.
  expect: { poll: { timeout: 10_000 } },
} as const;

/** Those with a process of their own come first: each of the two others then lasts to the end of the run. */
class OwnProcessesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [true, false].flatMap((isolate) =>
      sorted.filter(({ project }) => project.config.isolate === isolate),
    );
  }
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 2,
    provide: { leftOut },
    reporters: ['default'],
    sequence: { sequencer: OwnProcessesFirst },
    projects: [
      { test: { ...shared, name: 'own', include: IN_PROCESSES_OF_THEIR_OWN, exclude: leftOut } },
      {
        test: {
          ...shared,
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...IN_PROCESSES_OF_THEIR_OWN, ...leftOut],
          isolate: false,
        },
      },
    ],
  },
});
