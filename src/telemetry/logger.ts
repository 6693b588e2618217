import { pino, type DestinationStream, type Logger } from 'pino';
import { hasCode } from '../lib/errno.js';
import { KeywardError } from '../lib/errors.js';
import { printableJson } from '../lib/text.js';
import type { LogLevel } from './log-levels.js';

export type { Logger } from 'pino';

/**
 * createLogger writes one JSON object a line to standard output. Of errors it writes what tells their cause
 * and never their other properties: PostgreSQL's `detail`, for one, holds the values of rows.
 */
export function createLogger(level: LogLevel, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: (error: unknown) => describeError(error) },
    // Names and addresses are those of others, and the log may be read on a terminal.
    hooks: { streamWrite: printableJson },
  };
  return pino(options, destination ?? standardOutput());
}

/** standardOutput is given up where it was a terminal that was closed: a service must be able to stop in order then. */
function standardOutput(): DestinationStream {
  const output = pino.destination(1);
  output.on('error', (error) => {
    if (!hasCode(error, 'EIO', 'EPIPE')) throw error;
    output.write = () => true;
    output.flushSync = () => undefined;
  });
  return output;
}

interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: DescribedError;
}

function describeError(error: unknown, isForeseen = error instanceof KeywardError): DescribedError {
  if (!(error instanceof Error))
    return { type: typeof error, message: 'something that is no Error was thrown' };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    // Of what is foreseen the place in the program tells nothing.
    ...(error.stack === undefined || isForeseen ? {} : { stack: error.stack }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause, isForeseen) }),
  };
}
