import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** These change what others rely on in their process, kill what runs in it, or weigh its memory. */
const IN_PROCESSES_OF_THEIR_OWN = [
  'test/fault/**/*.test.ts',
  'test/integration/rights/holes.test.ts',
  'test/integration/rpc/young-streams.test.ts',
];

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
    reporters: ['default'],
    sequence: { sequencer: OwnProcessesFirst },
    projects: [
      { test: { ...shared, name: 'own', include: IN_PROCESSES_OF_THEIR_OWN } },
      {
        test: {
          ...shared,
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: IN_PROCESSES_OF_THEIR_OWN,
          isolate: false,
        },
      },
    ],
  },
});
