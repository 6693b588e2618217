import type { EventEmitter } from 'node:events';
import type { KeywardError } from '../lib/errors.js';
import { toStatus } from './error-status.js';

/** endStreamOn ends one of the library's streams with the signal's reason, which is a KeywardError, once it is aborted. */
export function endStreamOn(signal: AbortSignal | undefined, stream: EventEmitter): void {
  if (signal === undefined) return;
  const end = (): void => {
    stream.emit('error', toStatus(signal.reason as KeywardError));
  };
  if (signal.aborted) {
    end();
    return;
  }
  signal.addEventListener('abort', end, { once: true });
  // The signal may live as long as the process: it must not keep streams that are over.
  const forget = (): void => {
    signal.removeEventListener('abort', end);
  };
  stream.once('close', forget);
  stream.once('cancelled', forget);
}
