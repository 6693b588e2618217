import { InvalidArgumentError, type Command } from 'commander';
import { ANSWER_LIMIT_MS } from '../smarter/answer-limit.js';
import { sourceWarning } from '../smarter/connect-source.js';
import { SmarterImportError } from '../smarter/smarter-import-error.js';
import { warnOfCommandLine } from './client-options.js';
import { io } from './io/io.js';
import { showLine, warn } from './io/output.js';

/** GivenUrl is how a command was told the database of the Smarter platform. */
interface GivenUrl {
  readonly flag: string;
  readonly given: string | undefined;
  readonly variable: string;
}

/** PlatformFlags are the options of all commands that ask the Smarter platform's database. */
export interface PlatformFlags {
  readonly answerLimit: number;
}

/** addPlatformOptions adds them. */
export function addPlatformOptions(command: Command): Command {
  return command.option(
    '--answer-limit <seconds>',
    "longest that the platform's database may take for an answer, 1 to 3600; it is given up then",
    seconds,
    ANSWER_LIMIT_MS / 1000,
  );
}

/** answerLimitOf is what the option says. */
export function answerLimitOf({ answerLimit }: PlatformFlags): { readonly answerLimitMs: number } {
  return { answerLimitMs: answerLimit * 1000 };
}

function seconds(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 3600) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 1 to 3600.');
}

/** platformUrl is the URL of the option, or else of the environment. */
export function platformUrl({ flag, given, variable }: GivenUrl): string {
  if (given !== undefined) warnOfCommandLine(`${flag}, with its password,`);
  const url = given ?? io().env[variable];
  if (url === undefined) throw new Error(`give the database of the Smarter platform in ${variable}`);
  return url;
}

/** onPlatform runs what works on the platform's database. Failures are one line that does not hold its password. */
export async function onPlatform<T>(url: string, run: () => Promise<T>): Promise<T> {
  try {
    const warning = sourceWarning(url);
    if (warning !== undefined) warn(warning);
    return await run();
  } catch (cause) {
    throw new SmarterImportError(withoutPassword(messageOf(cause), url), { cause });
  } finally {
    showLine('');
  }
}

/** messageOf is one line; a failed connection to several addresses has its text in the single failures. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, ' ');
}

/** withoutPassword is for messages of drivers, which may quote what they were given. */
export function withoutPassword(message: string, url: string): string {
  const written = /^[^:]+:\/\/[^:@/]*:([^@]*)@/.exec(url)?.[1];
  if (written === undefined || written === '') return message.replaceAll(url, '<URL>');
  return message.replaceAll(url, '<URL>').replaceAll(written, '***').replaceAll(decoded(written), '***');
}

function decoded(text: string): string {
  return URL.canParse(`http://${text}@host`) ? decodeURIComponent(text) : text;
}
