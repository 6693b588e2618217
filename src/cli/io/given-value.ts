import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import type { SecretPayload } from '../../client/index.js';
import { MAX_PAYLOAD } from '../../secret/secret.js';
import { io } from './io.js';
import { printErrorLine, printErrorText } from './output.js';

/** GivenValue is how a command is told a secret's value: never by an argument, which others can read. */
export interface GivenValue {
  readonly file?: string;
  readonly binary?: true;
  readonly trimNewline?: true;
}

const VALUE_HELP = `
The value is read from standard input, or from a file; on a terminal it is asked for and not shown. It is kept to
the byte: a line break at its end, as "echo" adds one, belongs to it unless --trim-newline is given.`;

const MAX_LINE_BREAK = 2;

export function withValue(command: Command): Command {
  return command
    .option('--file <FILE>', 'read the value from this file')
    .option('--binary', 'the value is bytes of any kind; without this it must be UTF-8 text')
    .option('--trim-newline', 'leave out one line break at the end of the value')
    .addHelpText('after', VALUE_HELP);
}

/** readValue reads a value, and says on standard error if its end looks like a mistake. */
export async function readValue({ file, binary, trimNewline }: GivenValue): Promise<SecretPayload> {
  const given = await readGiven(file);
  const value = trimNewline === true ? withoutLineBreak(given) : given;
  if (value.length > MAX_PAYLOAD) throw tooLarge();
  if (binary === true) return { value: { $case: 'data', value } };
  if (!isUtf8(value)) throw new Error('the value is not UTF-8 text; --binary keeps bytes of any kind');
  // One line with a break at its end is hardly ever meant; text of more lines, as PEM, ends with one.
  if (value.length > 0 && value.indexOf('\n') === value.length - 1) {
    printErrorLine('The value ends with a line break, which is kept; --trim-newline leaves it out.');
  }
  return { value: { $case: 'text', value: value.toString('utf8') } };
}

/** readValueFile reads a value to the byte: as text if it is UTF-8. */
export async function readValueFile(file: string): Promise<SecretPayload> {
  const value = await readBytes(createReadStream(file));
  if (value.length > MAX_PAYLOAD) throw tooLarge();
  return isUtf8(value)
    ? { value: { $case: 'text', value: value.toString('utf8') } }
    : { value: { $case: 'data', value } };
}

async function readGiven(file: string | undefined): Promise<Buffer> {
  if (file !== undefined) return readBytes(createReadStream(file));
  const { stdin } = io();
  return stdin.isTTY === true ? askForLine(stdin) : readBytes(stdin);
}

/** readBytes reads a stream to its end, or until it is too large for a value. */
async function readBytes(stream: NodeJS.ReadableStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_PAYLOAD + MAX_LINE_BREAK) throw tooLarge();
  }
  return Buffer.concat(chunks);
}

/** askForLine reads one line from the terminal without showing it. */
async function askForLine(input: NodeJS.ReadableStream): Promise<Buffer> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: nowhere, terminal: true, historySize: 0 });
  printErrorText('Value (one line, not shown): ');
  try {
    const line = await new Promise<string | undefined>((resolve) => {
      lines.once('line', resolve);
      lines.once('close', () => resolve(undefined));
    });
    if (line === undefined) throw new Error('no value was given');
    return Buffer.from(line, 'utf8');
  } finally {
    lines.close();
    printErrorText('\n');
  }
}

function withoutLineBreak(value: Buffer): Buffer {
  if (value.at(-1) !== 0x0a) return value;
  return value.subarray(0, value.at(-2) === 0x0d ? -2 : -1);
}

function tooLarge(): Error {
  return new Error(`the value is longer than ${MAX_PAYLOAD} bytes`);
}
