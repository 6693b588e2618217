/**
 * Runs the commands of README.md, and then of each other page, in order, in a fresh copy of the checkout, so that what
 * they tell a reader to type works. shell-blocks.mjs says how blocks are marked. As in the reader's one shell, the
 * working directory, exported variables and exported functions last from block to block of a page.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { missingLine, shellBlocks } from './shell-blocks.mjs';

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;

const checkout = resolve(import.meta.dirname, '..');
const copy = mkdtempSync(join(tmpdir(), 'keyward-docs-'));
const shellState = join(copy, '.shell-state');
chmodSync(copy, 0o755);
let service;

try {
  // All are read before the first is run.
  const pages = pagesOf(checkout).map((page) =>
    shellBlocks(page, readFileSync(join(checkout, page), 'utf8')),
  );
  copyCheckout();
  for (const blocks of pages) {
    writeFileSync(shellState, `cd '${copy}'\n`);
    for (const block of blocks) await perform(block);
  }
  await stop();
  const blocks = pages.flat();
  const count = (prefix) => blocks.filter(({ marker }) => marker.startsWith(prefix)).length;
  console.log(`Docs: ${count('run') + count('background')} blocks ran, ${count('not-run')} were left out.`);
} finally {
  // Not SIGKILL first: the database that the service started would outlive it.
  if (!(await interrupt())) process.kill(-service.pid, 'SIGKILL');
  rmSync(copy, { recursive: true, force: true });
}

/** pagesOf are README.md, whose service the commands of the others use, and then the others. */
function pagesOf(directory) {
  const docs = readdirSync(join(directory, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', ...docs.sort().map((name) => `docs/${name}`), 'CONTRIBUTING.md', 'SECURITY.md'];
}

async function perform(block) {
  console.log(`--- ${block.page}:${block.line} ${block.marker}\n${block.text}`);
  const began = performance.now();
  if (block.marker === 'run') run(block);
  else if (block.marker === 'background') await start(block);
  else return;
  console.log(`--- ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

/** copyCheckout takes what is or would be committed: no build output, no dependencies, no data. */
function copyCheckout() {
  const options = { cwd: checkout, encoding: 'utf8' };
  const files = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    options,
  );
  for (const file of files.split('\0').filter(Boolean)) cpSync(join(checkout, file), join(copy, file));
}

function run(block) {
  const keepState = `{ export -p; export -fp; printf 'cd %q\\n' "$PWD"; } > '${shellState}'`;
  const { status, stdout } = spawnSync('bash', ['-c', `${script(block)}\n${keepState}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  process.stdout.write(stdout);
  if (status !== 0) fail(block, `failed with ${status}`);
  const missing = missingLine(block.prints, stdout);
  if (missing !== undefined) fail(block, `does not print: ${missing}`);
}

async function start(block) {
  await stop();
  // A process group of its own, to be interrupted whole, as a terminal does.
  service = spawn('bash', ['-c', script(block)], { detached: true, stdio: ['ignore', 'inherit', 'inherit'] });
  const deadline = Date.now() + START_LIMIT_MS;
  while (!isHealthy()) {
    if (service.exitCode !== null || Date.now() > deadline) fail(block, 'the service did not become healthy');
    await sleep(500);
  }
}

async function stop() {
  if (!service) return;
  if (service.exitCode !== null) throw new Error('the service ended by itself');
  if (!(await interrupt())) throw new Error('Ctrl-C does not stop the service');
  service = undefined;
}

/** interrupt does what Ctrl-C does, and tells whether the service, if there is one, has ended. */
async function interrupt() {
  if (!service || service.exitCode !== null || service.signalCode !== null) return true;
  const exit = once(service, 'exit').then(() => true);
  process.kill(-service.pid, 'SIGINT');
  return Promise.race([exit, sleep(STOP_LIMIT_MS, false)]);
}

function isHealthy() {
  return spawnSync('node', ['dist/cli/main.js', 'health'], { cwd: copy, stdio: 'ignore' }).status === 0;
}

function script(block) {
  return `set -euo pipefail\n. '${shellState}'\n${block.text}`;
}

function fail(block, reason) {
  throw new Error(`${block.page}:${block.line}: ${reason}`);
}
