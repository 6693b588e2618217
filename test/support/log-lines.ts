import type { LogLevel } from '../../src/telemetry/log-levels.js';
import { createLogger, type Logger } from '../../src/telemetry/logger.js';

/** collectLog gives a logger, and the text of all that it writes. */
export function collectLog(level: LogLevel = 'trace'): { readonly logger: Logger; text(): string } {
  const lines: string[] = [];
  return {
    logger: createLogger(level, { write: (line) => void lines.push(line) }),
    text: () => lines.join(''),
  };
}
