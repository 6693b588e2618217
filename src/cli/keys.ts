import { Command } from 'commander';
import type { ClientOptions } from '../client/channel.js';
import type {
  GetRotationStatusResponse,
  KeyUsage,
  KeywardClient,
  RotateEncryptionKeyResponse,
} from '../client/index.js';
import { FernetKey } from '../crypto/fernet.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';
import { printJsonLine, printJsonText, printLine, printText, showLine } from './io/output.js';
import { withClient } from './with-client.js';

const BAR_WIDTH = 30;

/** The status decrypts everything. */
const STATUS_TIMEOUT_MS = 600_000;

const ROTATE_HELP = `
To change the key: add the new one to KEYWARD_FERNET_KEYS, last, and restart every server; put it first and restart
them again; then run this. When "keyward keys status" shows that no value needs the old key, it may be removed.
It may be broken off at any time and run again: what is done stays done.`;

/** keysCommand is `keyward keys`. */
export function keysCommand(command: Command): void {
  command.addCommand(generateCommand()).addCommand(rotateCommand()).addCommand(statusCommand());
}

function generateCommand(): Command {
  return new Command('generate')
    .description(
      'Print a new key for KEYWARD_FERNET_KEYS. What it encrypts cannot be read without it: keep it.',
    )
    .option('--json', 'print the key and its id as JSON')
    .action(({ json }: { json?: true }) => {
      const key = FernetKey.generate();
      const keyId = FernetKey.parse(key)?.id;
      if (json === true) printJsonLine({ key, keyId });
      else printLine(key);
    });
}

function rotateCommand(): Command {
  return withClientOptions(new Command('rotate'))
    .description("Encrypt every secret's values with the first key of a running service.")
    .option('--dry-run', 'decrypt every value that another key has encrypted, and change nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', ROTATE_HELP)
    .action(async ({ dryRun = false, ...given }: GivenOptions & { readonly dryRun?: boolean }) => {
      const result = await withClient(options(given), (client) => rotate(client, dryRun));
      const { done, total, failed, primaryKeyId } = result;
      const counts = { done: Number(done), total: Number(total), failed: Number(failed) };
      if (given.json === true) printJsonLine({ dryRun, primaryKeyId, ...counts });
      else printText(describeReencryption(result, dryRun));
    });
}

async function rotate(client: KeywardClient, dryRun: boolean): Promise<RotateEncryptionKeyResponse> {
  try {
    for await (const progress of client.secrets.rotateEncryptionKey({ dryRun })) {
      if (progress.finished) return progress;
      showLine(progressBar(progress.done, progress.total));
    }
  } finally {
    showLine('');
  }
  throw new Error('the service ended the rotation without saying that all is done');
}

function describeReencryption(
  { done, failed, primaryKeyId }: RotateEncryptionKeyResponse,
  dryRun: boolean,
): string {
  const what = dryRun ? 'would be encrypted anew' : 'encrypted anew';
  const rest =
    failed === 0n ? '' : ` ${failed} cannot be decrypted and stay as they are; see "keyward keys status".`;
  return `${done - failed} values ${what} with key ${primaryKeyId}.${rest}\n`;
}

function statusCommand(): Command {
  return withClientOptions(new Command('status'))
    .description('Show which key encrypts how many values, and which values cannot be read.')
    .option('--json', 'print the result as JSON')
    .action(async (given: GivenOptions) => {
      const status = await withClient(options(given), (client) => client.secrets.getRotationStatus({}));
      if (given.json === true) printJsonText(toJson(status));
      else printText(describeStatus(status));
    });
}

/** toJson writes counts and ids as numbers. */
function toJson(status: GetRotationStatusResponse): string {
  return JSON.stringify(
    status,
    (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value),
    2,
  );
}

function describeStatus({ keys, undecryptable, undecryptableCount }: GetRotationStatusResponse): string {
  const lines = [
    'key               values',
    ...keys.map((usage) => {
      const name = usage.keyId === '' ? 'unknown' : usage.keyId;
      return `${name.padEnd(16)} ${String(usage.versionCount).padStart(7)}  ${remark(usage)}`;
    }),
  ];
  if (undecryptableCount > 0n) {
    lines.push('', `${undecryptableCount} cannot be read:`);
    for (const { secretId, version, keyId, cause } of undecryptable) {
      lines.push(`secret ${secretId}, version ${version}, key ${keyId === '' ? 'unknown' : keyId}: ${cause}`);
    }
    if (undecryptableCount > undecryptable.length) lines.push('...');
  }
  return `${lines.join('\n')}\n`;
}

function remark({ isConfigured, isPrimary, versionCount }: KeyUsage): string {
  if (isPrimary) return 'encrypts new values';
  if (!isConfigured) return 'not configured';
  return versionCount === 0n ? 'not needed by any value' : 'needed';
}

function options(given: GivenOptions): ClientOptions {
  return { ...clientOptions(given), timeoutMs: STATUS_TIMEOUT_MS };
}

/** progressBar is one line that shows how much of a work is done. */
function progressBar(done: bigint, total: bigint): string {
  const share = total === 0n ? 1 : Number(done) / Number(total);
  const filled = Math.floor(share * BAR_WIDTH);
  const bar = '#'.repeat(filled) + '.'.repeat(BAR_WIDTH - filled);
  return `[${bar}] ${Math.floor(share * 100)} %, ${done} of ${total}`;
}
