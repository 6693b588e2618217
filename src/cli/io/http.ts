import { SETTINGS, type Config } from '../../config.js';
import { addressText } from '../../lib/listen-address.js';
import { ProbeServer } from '../../telemetry/probe-server.js';
import type { Logger } from '../../telemetry/logger.js';
import { hasCode } from '../../lib/errno.js';

/**
 * openProbeServer serves health and metrics, if that is wanted. It goes on without one where nobody asked
 * for the address and another program has it, most likely a second Keyward on this machine.
 */
export async function openProbeServer(
  { httpListen }: Config,
  env: NodeJS.ProcessEnv,
  logger: Logger,
): Promise<ProbeServer | undefined> {
  if (httpListen === undefined) return undefined;
  try {
    const probes = await ProbeServer.open(httpListen, logger);
    logger.info({ http: probes.address }, 'health and metrics');
    return probes;
  } catch (error) {
    const { variable } = SETTINGS.httpListen;
    if (env[variable] !== undefined || !isTaken(error)) throw error;
    logger.warn(
      { http: addressText(httpListen), variable },
      'serving no health and metrics over HTTP: another program has the default address',
    );
    return undefined;
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && hasCode(error.cause, 'EADDRINUSE');
}
