import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ask, ClientSetting, hostOf } from '../../support/client-setting.js';
import { onTo } from '../../support/listener.js';

let setting: ClientSetting;

beforeEach(async () => {
  setting = await ClientSetting.create();
});

afterEach(() => setting.close());

describe('a call whose answer was cut short fails as one that may be tried again', () => {
  const RST_STREAM = 3;
  const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

  function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    return Buffer.concat([header, payload]);
  }

  function reset(code: number): (socket: Socket) => void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    return (socket) => {
      socket.write(SETTINGS);
      // The client's preface and settings come first; with its first call it has begun stream 1.
      socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('ValidateToken') || chunk.includes(Buffer.from([0, 0, 0, 1])))
          setTimeout(() => socket.write(frame(RST_STREAM, 0, 1, payload)), 50);
      });
    };
  }

  test.each([
    ['NO_ERROR', 0],
    ['PROTOCOL_ERROR', 1],
    ['INTERNAL_ERROR', 2],
    ['STREAM_CLOSED', 5],
    ['CANCEL', 8],
  ])('by RST_STREAM with %s', async (_, code) => {
    const listener = await setting.listen(reset(code));
    const client = setting.open({ servers: listener.address, retry: false });
    await expect(ask(client, 4_000)).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    listener.restart(onTo(setting.replica.address));
    await expect(ask(setting.open({ servers: listener.address }))).resolves.toMatchObject({ valid: true });
  });

  test('by what is no HTTP/2', async () => {
    const listener = await setting.listen((socket) => {
      socket.write(SETTINGS);
      socket.on('data', () => setTimeout(() => socket.end('no frames at all, these are'), 20));
    });
    const client = setting.open({ servers: listener.address });
    const answer = ask(client);
    await vi.waitFor(() => expect(listener.taken).toBeGreaterThan(0));
    listener.turn(onTo(setting.replica.address));
    await expect(answer).resolves.toMatchObject({ valid: true });
  });
});

test('a step of the wall clock ends no call before its time', async () => {
  const proxy = await setting.way();
  const client = setting.open({ servers: hostOf(proxy) });
  await ask(client);
  proxy.cut();
  const now = vi.spyOn(Date, 'now');
  const answer = ask(client);
  now.mockImplementation(() => new Date().getTime() + 3_600_000);
  setTimeout(() => proxy.mend(), 300);
  await expect(answer).resolves.toMatchObject({ valid: true });
});
