import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Variant is one rule of the contract that is broken, in what was compiled. */
export interface Variant {
  readonly name: string;
  readonly of: 'service' | 'client';
  readonly file: string;
  /** Text that is there once, and what takes its place. */
  readonly from: string;
  readonly to: string;
}

/** Programs are what a campaign runs instead of this checkout's. */
export interface Programs {
  /** Of a replica. */
  readonly serverMain?: string;
  /** URL of the client package's module. */
  readonly clientModule?: string;
}

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
/** Where compiled code is, and what stands beside it, by whose it is. */
const PARTS = {
  service: {
    home: '.',
    beside: ['package.json', 'proto', 'test/support/server-process-main.mjs', 'test/support/heap-dump.mjs'],
  },
  client: { home: 'clients/node', beside: ['package.json'] },
};

/** withBroken does some work with a copy of the program in which a rule is broken. */
export async function withBroken<T>(variant: Variant, work: (programs: Programs) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'keyward-broken-'));
  try {
    const { home, beside } = PARTS[variant.of];
    for (const each of ['dist', ...beside]) {
      await mkdir(join(folder, each, '..'), { recursive: true });
      await cp(join(ROOT, home, each), join(folder, each), { recursive: true });
    }
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    await breakRule(join(folder, 'dist', variant.file), variant);
    return await work(
      variant.of === 'service'
        ? { serverMain: join(folder, 'test/support/server-process-main.mjs') }
        : { clientModule: pathToFileURL(join(folder, 'dist/index.js')).href },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function breakRule(path: string, { name, from, to }: Variant): Promise<void> {
  const parts = (await readFile(path, 'utf8')).split(from);
  if (parts.length !== 2) throw new Error(`${name}: the rule is there ${parts.length - 1} times in ${path}`);
  await writeFile(path, parts.join(to));
}
