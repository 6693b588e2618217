import { KeywardCallError } from '@keyward/client/transport';
import { ConfigError } from '../../config.js';
import { KeywardError } from '../../lib/errors.js';
import { printable } from '../../lib/text.js';

/** failureLine is the one line that a failed command ends with. It never shows a stack. */
export function failureLine(error: unknown): string {
  // These are lines of our own.
  if (error instanceof ConfigError) return `keyward: ${error.message}`;
  return printable(`keyward: ${failureText(error)}`);
}

/** failureText is the cause of a failure, on one line. */
export function failureText(error: unknown): string {
  if (error instanceof KeywardCallError) {
    const reason = error.reason === '' ? '' : ` (${error.reason})`;
    return `${error.codeName}${reason}: ${error.message}`;
  }
  const cause =
    error instanceof KeywardError && error.cause instanceof Error ? `: ${firstLine(error.cause)}` : '';
  return `${error instanceof Error ? firstLine(error) : String(error)}${cause}`;
}

/** detailLines are what the service says of a failed call besides: which rules are broken, what is in the way. */
export function detailLines(error: unknown): string {
  if (!(error instanceof KeywardCallError)) return '';
  const lines = error.violations.map(({ field, rule }) => `${field} ${rule}`);
  for (const name of ['consumers', 'candidates']) {
    const list = error.metadata.get(name);
    if (list !== undefined) lines.push(`${name}: ${list}`);
  }
  return lines.map((line) => `  ${printable(line)}\n`).join('');
}

function firstLine(error: Error): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(String).join('; ');
  return error.message.split('\n', 1)[0] ?? '';
}
