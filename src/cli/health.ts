import { Metadata } from '@grpc/grpc-js';
import { Command } from 'commander';
import { toCallError } from '../client/call-error.js';
import { channelCredentials, DEFAULT_SERVER } from '../client/index.js';
import { HealthCheckResponse_ServingStatus as ServingStatus, HealthClient } from '../gen/grpc/health/v1/health.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';

const TIMEOUT_MS = 3_000;

/** healthCommand is `keyward health`, for container health checks. */
export function healthCommand(): Command {
  return withClientOptions(new Command('health'))
    .description('Ask a running service for its health; succeeds only if it is SERVING.')
    .option('--json', 'print the result as JSON')
    .action(async (given: GivenOptions) => {
      const options = clientOptions(given);
      const client = new HealthClient(options.server ?? DEFAULT_SERVER, channelCredentials(options));
      const status = await new Promise<string>((resolve, reject) => {
        const deadline = performance.timeOrigin + performance.now() + TIMEOUT_MS;
        client.check({ service: '' }, new Metadata(), { deadline }, (error, response) => {
          if (error === null) resolve(ServingStatus[response.status]);
          else reject(toCallError(error));
        });
      }).finally(() => {
        client.close();
      });
      process.stdout.write(`${given.json === true ? JSON.stringify({ status }) : status}\n`);
      if (status !== 'SERVING') throw new Error(`the service is ${status}`);
    });
}
