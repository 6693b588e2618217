import { Option, type Command } from 'commander';
import type { AccessSecretResponse } from '../../client/index.js';
import { writePrivately } from '../../lib/private-file.js';
import { printable } from '../../lib/text.js';
import { io } from '../io/io.js';
import { printBytes, printJson, printText } from '../io/output.js';
import type { GivenTarget } from '../target.js';
import { commandAboutSecret, withSecret } from './target.js';
import { readVersionNumber } from '../version-number.js';

interface AccessOptions extends GivenTarget {
  readonly includeExpired?: true;
  readonly out?: string;
}

const HELP = `
It prints the bytes of the value and nothing else. On a terminal a line break follows, and a value that is no text,
or holds control characters other than line breaks and tabs, is not shown. Every access is recorded in the audit log.`;

export function accessCommand(): Command {
  return commandAboutSecret('access')
    .argument(
      '[version]',
      'the number of a version; the newest that is enabled if not given',
      readVersionNumber,
    )
    .description("Print a secret's value.")
    .option('--include-expired', 'also if the secret has expired, for those who manage it')
    .addOption(
      new Option('--out <FILE>', 'write the value to this file instead, which only you can read').conflicts(
        'json',
      ),
    )
    .option('--json', 'print the value as JSON: "text", or "data" in base64')
    .addHelpText('after', HELP)
    .action(async (text: string, version: number | undefined, given: AccessOptions) => {
      const { includeExpired = false, out } = given;
      const accessed = await withSecret(text, given, ({ secrets }, secret) =>
        secrets.accessSecret({ secret, version: version ?? 0, includeExpired }),
      );
      if (given.json === true) printJson(jsonOf(accessed));
      else if (out !== undefined) await writePrivately(out, bytesOf(accessed));
      else printValue(accessed);
    });
}

function jsonOf({ secretId, version, payload }: AccessSecretResponse): object {
  const value = payload?.value;
  return {
    secretId,
    version,
    ...(value?.$case === 'text'
      ? { text: value.value }
      : { data: Buffer.from(value?.value ?? []).toString('base64') }),
  };
}

function bytesOf({ payload }: AccessSecretResponse): Uint8Array {
  const value = payload?.value;
  if (value === undefined) throw new Error('the service sent no value');
  return value.$case === 'text' ? Buffer.from(value.value, 'utf8') : value.value;
}

/** isPrintable accepts the line breaks and tabs of a text of several lines, such as PEM. */
function isPrintable(text: string): boolean {
  const line = text.replaceAll(/\r?\n|\t/g, '');
  return printable(line) === line;
}

function printValue(accessed: AccessSecretResponse): void {
  const bytes = bytesOf(accessed);
  if (io().stdout.isTTY !== true) {
    printBytes(bytes);
    return;
  }
  const value = accessed.payload?.value;
  const instead = 'pass it to another program, or give --out or --json';
  if (value?.$case === 'data') throw new Error(`the value is no text: ${instead}`);
  if (!isPrintable(value?.value ?? '')) {
    throw new Error(`the value holds characters that steer a terminal: ${instead}`);
  }
  printBytes(bytes);
  printText('\n');
}
