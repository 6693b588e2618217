import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { IS_FULL } from './test/support/extent.js';

/** These change what others rely on in their process, kill what runs in it, or weigh its memory. */
const IN_PROCESSES_OF_THEIR_OWN = [
  'test/fault/**/*.test.ts',
  'test/integration/rights/holes.full.test.ts',
  'test/integration/rpc/young-streams.test.ts',
];

/**
 * Tests that start and end whole programs, wait for limits to pass, or try one rule in very many ways. They take a minute
 * on a slow machine, each. `npm run test:full` and `npm run test:fault` run them too, and `npm test` says how many it leaves out.
 */
const IN_FULL_ONLY = /\.full\.test\.ts$/;

const leftOut = IS_FULL
  ? []
  : readdirSync('test', { encoding: 'utf8', recursive: true })
      .filter((file) => IN_FULL_ONLY.test(file))
      .map((file) => `test/${file}`);

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

/** Tests see the client package as its sources are, not as it was built last. */
const CLIENT_SOURCES = {
  '@keyward/client/grpc': sourceOf('middleware/grpc.ts'),
  '@keyward/client/transport': sourceOf('transport/index.ts'),
  '@keyward/client': sourceOf('index.ts'),
};

function sourceOf(file: string): string {
  return fileURLToPath(new URL(`clients/node/src/${file}`, import.meta.url));
}

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // While one waits the others work. The long forms weigh memory and time, and want a core each.
    maxWorkers: IS_FULL ? 2 : 3,
    provide: { leftOut: leftOut.length },
    reporters: ['default'],
    sequence: { sequencer: OwnProcessesFirst },
    projects: [
      {
        resolve: { alias: CLIENT_SOURCES },
        test: { ...shared, name: 'own', include: IN_PROCESSES_OF_THEIR_OWN, exclude: leftOut },
      },
      {
        resolve: { alias: CLIENT_SOURCES },
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
