import { checkHealth as check } from '@keyward/client/transport';
import { connectOptions, type ClientOptions } from './channel.js';

/** checkHealth is the client package's, for the options of commands. */
export function checkHealth(options: ClientOptions): Promise<string> {
  return check(connectOptions(options));
}
