import type { ClientOptions } from '../client/channel.js';
import { connect, type KeywardClient } from '../client/index.js';
import { explained } from './io/call-failure.js';
import { detailLines } from './io/failure.js';
import { printErrorText } from './io/output.js';

/** withClient lends a client, and puts what the service says of a failure before the one line that ends a command. */
export async function withClient<T>(
  options: ClientOptions,
  use: (client: KeywardClient) => Promise<T>,
): Promise<T> {
  const client = connect(options);
  try {
    return await use(client);
  } catch (error) {
    printErrorText(detailLines(error));
    throw explained(error, options);
  } finally {
    client.close();
  }
}
