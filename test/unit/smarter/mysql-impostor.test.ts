import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectSource } from '../../../src/smarter/connect-source.js';

const PASSWORD = 'canary-password';

/** The capabilities that the driver needs to go on: protocol 4.1, long scrambles, plugins. */
const CAPABILITIES = 0x0008_0000 | 0x8000 | 0x0200 | 0x0008;

let server: Server;
let heard: string;

/** A server without TLS that wants the password in clear, and says yes to everything. */
beforeEach(async () => {
  heard = '';
  server = createServer((socket) => {
    let isFirst = true;
    const send = (sequence: number, body: Buffer): void => {
      socket.write(Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]));
    };
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const wasFirst = isFirst;
      isFirst = false;
      heard += chunk.toString('latin1');
      if (wasFirst) send(2, Buffer.from('\xfemysql_clear_password\0', 'latin1'));
      else send((chunk[3] ?? 0) + 1, Buffer.from([0, 0, 0, 2, 0, 0, 0]));
    });
    send(0, greeting());
  }).listen(0, '0.0.0.0');
  await once(server, 'listening');
});

afterEach(() => server.close());

function greeting(): Buffer {
  const body = Buffer.alloc(31);
  body.writeUInt16LE(CAPABILITIES & 0xffff, 13);
  body.writeUInt16LE(CAPABILITIES >>> 16, 18);
  body.writeUInt8(21, 20);
  return Buffer.concat([
    Buffer.from('\x0a8.0.0\0'),
    body,
    Buffer.from('scramble2345\0mysql_native_password\0'),
  ]);
}

test.each(['127.0.0.1', '0.0.0.0'])(
  'a MySQL at %s that asks for the password in clear, without TLS, does not get it',
  async (host) => {
    const { port } = server.address() as AddressInfo;
    for (const query of ['', 'sslmode=disable', 'sslmode=disable&enableCleartextPlugin=true']) {
      await expect(
        connectSource(`mysql://reader:${PASSWORD}@${host}:${port}/smarter?${query}`),
      ).rejects.toThrow();
    }
    expect(heard).not.toContain(PASSWORD);
    // It came as far as to be asked.
    expect(heard).toContain('reader');
  },
);
