import { HealthDefinition } from '../gen/grpc/health/v1/health.js';
import { wireMethod } from './definitions.js';
import { Transport, type ConnectOptions } from './transport.js';

const TIMEOUT_MS = 3_000;
const CHECK = wireMethod(HealthDefinition, HealthDefinition.methods.check);

/**
 * checkHealth asks a service for its health: `SERVING`, `NOT_SERVING` or `UNKNOWN`. It needs no credentials and
 * sends none. It rejects with a KeywardCallError if the service cannot be asked.
 */
export async function checkHealth(options: ConnectOptions): Promise<string> {
  const { token: _token, tokenFile: _file, getToken: _get, ...rest } = options;
  const transport = new Transport({ timeoutMs: TIMEOUT_MS, ...rest });
  try {
    const { status } = await transport.unary(CHECK, { service: '' });
    return status;
  } finally {
    transport.close();
  }
}
