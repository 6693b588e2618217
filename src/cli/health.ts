import type { Command } from 'commander';
import type { ClientOptions } from '../client/channel.js';
import { checkHealth } from '../client/health.js';
import { loadConfig } from '../config.js';
import { explained } from './io/call-failure.js';
import { asksOwnServer, clientOptions, withClientOptions, type GivenOptions } from './client-options.js';
import { io } from './io/io.js';
import { printJsonLine, printLine } from './io/output.js';

/**
 * ownTransport is for the health check inside a container, which has the server's own settings: whatever the
 * certificate's name is, this asks the machine that it runs on. A check sends no credentials, so a service that may
 * serve plaintext is asked in plaintext. Options given on the command line take the place of all this.
 */
function ownTransport(given: GivenOptions): ClientOptions {
  const { tlsCert, tlsKey, allowPlaintext } = loadConfig(io().env);
  const { tls, ca, cert, plaintext, proxy } = given;
  const isTold = [tls, ca, cert, plaintext, proxy].some((option) => option !== undefined);
  if (isTold || !asksOwnServer(given)) return {};
  if (tlsCert !== undefined && tlsKey !== undefined) {
    return { cert: tlsCert, key: tlsKey, skipVerification: true };
  }
  return allowPlaintext ? { plaintext: true } : {};
}

/** healthCommand is `keyward health`, for container health checks. */
export function healthCommand(command: Command): void {
  withClientOptions(command)
    .option('--json', 'print the result as JSON')
    .action(async (given: GivenOptions) => {
      const options = { ...ownTransport(given), ...clientOptions(given) };
      const status = await checkHealth(options).catch((error: unknown) => {
        throw explained(error, options);
      });
      if (given.json === true) printJsonLine({ status });
      else printLine(status);
      if (status !== 'SERVING') throw new Error(`the service is ${status}`);
    });
}
