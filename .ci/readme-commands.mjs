/**
 * Runs the commands of README.md, in order, in a fresh copy of the checkout, so that what it tells a reader to
 * type works. Every `sh` block says in its info string what becomes of it:
 *
 *   ```sh run               runs it, and it must succeed
 *   ```sh background        starts it and goes on when the service is healthy; the next background block, or the
 *                           end, stops it as Ctrl-C would
 *   ```sh not-run: reason   leaves it out and prints the reason
 *
 * As in the reader's one shell, the working directory and exported variables last from block to block.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 20_000;

const checkout = resolve(import.meta.dirname, '..');
const copy = mkdtempSync(join(tmpdir(), 'keyward-readme-'));
const shellState = join(copy, '.shell-state');
chmodSync(copy, 0o755);
let service;

try {
  const blocks = shellBlocks(readFileSync(join(checkout, 'README.md'), 'utf8'));
  copyCheckout();
  for (const block of blocks) {
    console.log(`--- README.md:${block.line} ${block.marker}\n${block.text}`);
    if (block.marker === 'run') run(block);
    if (block.marker === 'background') await start(block);
  }
  await stop();
  const count = (prefix) => blocks.filter(({ marker }) => marker.startsWith(prefix)).length;
  console.log(`README: ${count('run') + count('background')} blocks ran, ${count('not-run')} were left out.`);
} finally {
  // Not SIGKILL first: the database that the service started would outlive it.
  if (!(await interrupt())) process.kill(-service.pid, 'SIGKILL');
  rmSync(copy, { recursive: true, force: true });
}

function shellBlocks(markdown) {
  const blocks = [];
  let open;
  markdown.split('\n').forEach((text, index) => {
    const fence = /^\s*```\s*(\w*)\s*(.*)$/.exec(text);
    if (!fence) open?.lines.push(text);
    else if (open) {
      if (open.language === 'sh') blocks.push({ ...open, text: open.lines.join('\n') });
      open = undefined;
    } else open = { language: fence[1], marker: fence[2].trim(), line: index + 1, lines: [] };
  });
  if (open) fail(open, 'the block has no end');
  for (const block of blocks) {
    if (!/^(run|background|not-run: .+)$/.test(block.marker))
      fail(block, 'say `run`, `background` or `not-run: reason`');
  }
  const others = /^\s*```\s*(bash|shell|console|zsh)\b/m.exec(markdown);
  if (others) throw new Error(`README.md: blocks of commands are \`sh\`, not \`${others[1]}\``);
  return blocks;
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
  writeFileSync(shellState, `cd '${copy}'\n`);
}

function run(block) {
  const keepState = `{ export -p; printf 'cd %q\\n' "$PWD"; } > '${shellState}'`;
  const { status } = spawnSync('bash', ['-c', `${script(block)}\n${keepState}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) fail(block, `failed with ${status}`);
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
  throw new Error(`README.md:${block.line}: ${reason}`);
}
