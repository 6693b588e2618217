/**
 * Proves the package of the Node client as its users get it: packs it, installs it into an empty project, loads it from an
 * ES module and from CommonJS, and compiles a TypeScript program of each kind with it, its dependencies' types included.
 *
 * Needs the packages of the checkout, for the compiler, and the registry.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The gRPC library brings 33 of them. */
const MAX_PACKAGES = 36;
const MAX_MEGABYTES = 16;

const checkout = resolve(import.meta.dirname, '..');
const work = mkdtempSync(join(tmpdir(), 'keyward-client-'));
const project = join(work, 'project');

const PROGRAM = `
const keyward = connect({ servers: ['127.0.0.1:50051'], token: 'x', timeoutMs: 500, retry: false });
const validator = createValidator(keyward, { label: 'pack/test' });
keyward.tokens.getToken({ token: { name: 'x', account: '1000-2000-3000' } }).then(
  () => { throw new Error('nothing serves there'); },
  (error) => {
    if (!(error instanceof KeywardCallError)) throw error;
    validator.close();
    keyward.close();
    console.log(error.codeName, VerdictReason.OK);
  },
);`;
const TYPED = `
const options: ConnectOptions = { servers: 'localhost:50051', tokenFile: 'token' };
export async function check(text: string): Promise<string> {
  const keyward = connect(options);
  const { token } = await keyward.tokens.createToken({ name: 'x', expiresAt: new Date(), scopes: ['a'] });
  const since: Date | undefined = token?.createdAt;
  // @ts-expect-error there is no such field
  void keyward.tokens.getToken({ tokn: { id: 1n } });
  const { valid, principal } = await createValidator(keyward).validate(text, { scopes: ['a:b'] });
  return valid ? String(principal?.username) : String(since);
}`;
const NAMES = 'connect, createValidator, KeywardCallError, VerdictReason';

try {
  mkdirSync(project);
  const packed = npm(
    checkout,
    'pack',
    '--json',
    '--workspace',
    '@keyward/client',
    '--pack-destination',
    work,
  );
  // The build says what it does before.
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf('[\n')));
  write('package.json', JSON.stringify({ private: true }));
  npm(project, 'install', '--no-audit', '--no-fund', join(work, filename));

  const packages = npm(project, 'ls', '--all', '--parseable').trim().split('\n').length - 1;
  const megabytes = sizeOf(join(project, 'node_modules')) / 2 ** 20;
  console.log(`${packages} packages, ${megabytes.toFixed(1)} MB`);
  if (packages > MAX_PACKAGES) throw new Error(`more than ${MAX_PACKAGES} packages`);
  if (megabytes > MAX_MEGABYTES) throw new Error(`more than ${MAX_MEGABYTES} MB`);

  write('main.mjs', `import { ${NAMES} } from '@keyward/client';${PROGRAM}`);
  write('main.cjs', `const { ${NAMES} } = require('@keyward/client');${PROGRAM}`);
  for (const file of ['main.mjs', 'main.cjs']) {
    const printed = execFileSync(process.execPath, [file], { cwd: project, encoding: 'utf8' });
    if (printed !== 'UNAVAILABLE VERDICT_REASON_OK\n') throw new Error(`${file} printed: ${printed}`);
  }

  const types = "import { connect, createValidator, type ConnectOptions } from '@keyward/client';";
  for (const file of ['typed.mts', 'typed.cts']) write(file, `${types}${TYPED}`);
  const compiler = join(checkout, 'node_modules/typescript/bin/tsc');
  const flags = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    'false',
    '--module',
    'nodenext',
    '--types',
    'node',
  ];
  const args = [compiler, ...flags, '--target', 'es2023', 'typed.mts', 'typed.cts'];
  execFileSync(process.execPath, args, { cwd: project, stdio: 'inherit' });
  console.log('It loads and compiles as an ES module and as CommonJS.');
} finally {
  rmSync(work, { recursive: true, force: true });
}

function npm(cwd, ...args) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function write(name, text) {
  writeFileSync(join(project, name), text);
}

function sizeOf(path) {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
