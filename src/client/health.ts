import { Metadata } from '@grpc/grpc-js';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthClient,
} from '../gen/grpc/health/v1/health.js';
import { toCallError } from './call-error.js';
import { channelArguments, deadlineIn, type ClientOptions } from './channel.js';

/**
 * checkHealth asks a service for its health: `SERVING`, `NOT_SERVING` or `UNKNOWN`. It needs no credentials and
 * sends none. It rejects with a KeywardCallError if the service cannot be asked.
 */
export async function checkHealth(options: ClientOptions): Promise<string> {
  const client = new HealthClient(...channelArguments(options));
  const deadline = deadlineIn(options.timeoutMs ?? 3_000);
  try {
    return await new Promise<string>((resolve, reject) => {
      client.check({ service: '' }, new Metadata(), { deadline }, (error, response) => {
        if (error === null) resolve(ServingStatus[response.status]);
        else reject(toCallError(error));
      });
    });
  } finally {
    client.close();
  }
}
