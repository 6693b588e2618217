/**
 * Proves the module of the Go client as its users get it: runs the blocks of its README in an empty directory, against the
 * service at KEYWARD, whose administrator's token is in TOKEN_FILE.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { missingLine, shellBlocks } from './shell-blocks.mjs';

const PAGE = 'clients/go/README.md';

const checkout = resolve(import.meta.dirname, '..');
const work = mkdtempSync(join(tmpdir(), 'keyward-go-module-'));

try {
  for (const block of shellBlocks(PAGE, readFileSync(join(checkout, PAGE), 'utf8'))) {
    console.log(`--- ${PAGE}:${block.line}\n${block.text}`);
    const { status, stdout } = spawnSync('bash', ['-euo', 'pipefail', '-c', block.text], {
      cwd: work,
      env: { ...process.env, KEYWARD_CHECKOUT: checkout },
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    process.stdout.write(stdout);
    if (status !== 0) throw new Error(`${PAGE}:${block.line}: failed with ${status}`);
    const missing = missingLine(block.prints, stdout);
    if (missing !== undefined) throw new Error(`${PAGE}:${block.line}: does not print: ${missing}`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
