import { channelArguments as argumentsOf, DEFAULT_SERVER } from '../../clients/node/src/transport/channel.js';
import type { ClientOptions } from '../../src/client/index.js';

/** channelArguments are what a bare client of the gRPC library is constructed with, to connect as the client package does. */
export function channelArguments({
  server = DEFAULT_SERVER,
  ...settings
}: ClientOptions): ReturnType<typeof argumentsOf> {
  return argumentsOf(server, settings);
}
