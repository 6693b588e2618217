import { Command } from 'commander';
import type { ClientOptions } from '../client/channel.js';
import { checkHealth } from '../client/health.js';
import { loadConfig } from '../config.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';

/**
 * ownTls is for the health check inside a container, which has the server's own settings: whatever the
 * certificate's name is, this asks the machine that it runs on. Options given on the command line come first.
 */
function ownTls(): ClientOptions {
  const { tlsCert, tlsKey } = loadConfig(process.env);
  return tlsCert === undefined || tlsKey === undefined
    ? {}
    : { cert: tlsCert, key: tlsKey, skipVerification: true };
}

/** healthCommand is `keyward health`, for container health checks. */
export function healthCommand(): Command {
  return withClientOptions(new Command('health'))
    .description('Ask a running service for its health; succeeds only if it is SERVING.')
    .option('--json', 'print the result as JSON')
    .action(async (given: GivenOptions) => {
      const status = await checkHealth({ ...ownTls(), ...clientOptions(given) });
      process.stdout.write(`${given.json === true ? JSON.stringify({ status }) : status}\n`);
      if (status !== 'SERVING') throw new Error(`the service is ${status}`);
    });
}
