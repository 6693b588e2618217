import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

/** Below those that systems give to outgoing connections: one of these could take a port while its server is down. */
const MIN_LOW = 20_000;
const MAX_LOW = 32_000;

/** freePort finds a port of 127.0.0.1 for a server that starts at once. */
export function freePort(): Promise<number> {
  return probe(0);
}

/** freeLowPort finds one for a server that is to come back at the same port. */
export async function freeLowPort(): Promise<number> {
  for (;;) {
    const port = await probe(randomInt(MIN_LOW, MAX_LOW)).catch(() => undefined);
    if (port !== undefined) return port;
  }
}

/** probe listens for a moment. */
async function probe(wanted: number): Promise<number> {
  const server = createServer().listen(wanted, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
