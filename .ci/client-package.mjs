/**
 * Proves the package of the Node client as its users get it: packs it, installs it into an empty project, loads it from an
 * ES module and from CommonJS, and compiles a TypeScript program of each kind with it, its dependencies' types included. The
 * interceptor for servers of grpc-js comes last, since it takes the project's own library.
 *
 * Needs the packages of the checkout, for the compiler, and the registry.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const MAX_PACKAGES = 14;
const MAX_MEGABYTES = 10;
/** Times that the package is loaded, in a process of its own each; the fastest counts. */
const LOADS = 5;
const LICENSES = 'node_modules/@keyward/client/dist/THIRD_PARTY_LICENSES.txt';

const checkout = resolve(import.meta.dirname, '..');
const work = mkdtempSync(join(tmpdir(), 'keyward-client-'));
const project = join(work, 'project');

const PROGRAM = `
const keyward = connect({ servers: ['127.0.0.1:1'], token: 'x', timeoutMs: 10_000, retry: false });
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
const LOAD = `
const began = performance.now();
require('@keyward/client');
console.log(performance.now() - began);`;
const INTERCEPTOR = `
import { Server } from '@grpc/grpc-js';
import { connect, createValidator, verdictOf } from '@keyward/client';
import { grpcAuth } from '@keyward/client/grpc';
const keyward = connect({ servers: '127.0.0.1:50051', token: 'x' });
const validator = createValidator(keyward);
new Server({ interceptors: [grpcAuth(validator, { scopes: ['a'] })] });
validator.close();
keyward.close();
console.log(verdictOf({}));`;

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
  write('load.cjs', LOAD);
  const loads = Array.from({ length: LOADS }, () => Number(run('load.cjs')));
  const fastest = Math.min(...loads).toFixed(0);
  console.log(`${packages} packages, ${megabytes.toFixed(1)} MB, loaded by require() in ${fastest} ms`);
  if (packages > MAX_PACKAGES) throw new Error(`more than ${MAX_PACKAGES} packages`);
  if (megabytes > MAX_MEGABYTES) throw new Error(`more than ${MAX_MEGABYTES} MB`);

  write('main.mjs', `import { ${NAMES} } from '@keyward/client';${PROGRAM}`);
  write('main.cjs', `const { ${NAMES} } = require('@keyward/client');${PROGRAM}`);
  for (const file of ['main.mjs', 'main.cjs']) {
    const printed = run(file);
    if (printed !== 'UNAVAILABLE VERDICT_REASON_OK\n') throw new Error(`${file} printed: ${printed}`);
  }

  const types = "import { connect, createValidator, type ConnectOptions } from '@keyward/client';";
  for (const file of ['typed.mts', 'typed.cts']) write(file, `${types}${TYPED}`);
  compile(
    ['typed.mts', 'typed.cts'],
    '--types',
    'node',
    '--typeRoots',
    join(checkout, 'node_modules/@types'),
  );
  // Whoever has no types of Node has those of a browser, for AbortSignal.
  compile(['typed.mts', 'typed.cts'], '--lib', 'es2023,dom');
  if (!readFileSync(join(project, LICENSES), 'utf8').includes('@grpc/grpc-js'))
    throw new Error('the licence of the gRPC library is not there');

  npm(project, 'install', '--no-audit', '--no-fund', '@grpc/grpc-js');
  write('interceptor.mts', INTERCEPTOR);
  write('interceptor.mjs', INTERCEPTOR);
  compile(['interceptor.mts'], '--types', 'node');
  if (run('interceptor.mjs') !== 'undefined\n') throw new Error('the interceptor does not load');
  console.log('It loads and compiles as an ES module and as CommonJS, and so does its interceptor.');
} finally {
  rmSync(work, { recursive: true, force: true });
}

function run(file) {
  return execFileSync(process.execPath, [file], { cwd: project, encoding: 'utf8' });
}

/** compile compiles files strictly, and the types of all that they import. */
function compile(files, ...flags) {
  const strictly = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--module', 'nodenext'];
  const compiler = join(checkout, 'node_modules/typescript/bin/tsc');
  const args = [compiler, ...strictly, '--target', 'es2023', ...flags, ...files];
  execFileSync(process.execPath, args, { cwd: project, stdio: 'inherit' });
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
