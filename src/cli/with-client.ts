import { connect, type KeywardClient } from '../client/index.js';
import type { CommandOptions } from './client-options.js';
import { explained } from './io/call-failure.js';
import { detailLines } from './io/failure.js';
import { printErrorText } from './io/output.js';
import { validate } from './validation.js';

/** withClient lends a client, and puts what the service says of a failure before the one line that ends a command. */
export async function withClient<T>(
  options: CommandOptions,
  use: (client: KeywardClient) => Promise<T>,
): Promise<T> {
  const { validateOnly, ...connection } = options;
  const client = connect(connection);
  try {
    return await (validateOnly === undefined ? use(client) : validate(client, validateOnly === 'json', use));
  } catch (error) {
    printErrorText(detailLines(error));
    throw explained(error, options);
  } finally {
    client.close();
  }
}
