import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connect,
  toJson,
  VerdictReason,
  type CallOptions,
  type ConnectOptions,
  type KeywardClient,
} from '@keyward/client';
import { registerCanary } from '../../support/canaries.js';
import { freePort } from '../../support/free-port.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { ACCOUNT_A, World } from '../../support/world.js';

let world: World;
let keyward: KeywardClient;
const opened: KeywardClient[] = [];

beforeAll(async () => {
  world = await World.create();
  keyward = open({});
});

afterAll(async () => {
  for (const client of opened) client.close();
  await world.close();
});

function open(options: ConnectOptions): KeywardClient {
  const hasToken = options.tokenFile !== undefined || options.getToken !== undefined;
  const client = connect({
    servers: world.server.address,
    ...(hasToken ? {} : { token: world.adminToken }),
    ...options,
  });
  opened.push(client);
  return client;
}

function proxyTo(address: string): Promise<TcpProxy> {
  return startTcpProxy(`tcp://${address}`);
}

function addressOf({ url }: TcpProxy): string {
  return new URL(url).host;
}

describe('requests and answers', () => {
  test('hold times as dates, durations in milliseconds and names of enums', async () => {
    const expiresAt = new Date(world.clock.now() + 3_600_000);
    const { token, plaintext } = await keyward.tokens.createToken({ name: 'dated', expiresAt });
    registerCanary(plaintext);
    expect(token?.expiresAt).toEqual(expiresAt);
    const rotated = await keyward.tokens.rotateToken({
      selector: { id: token?.id ?? 0n },
      gracePeriod: 60_000,
    });
    registerCanary(rotated.plaintext);
    expect(rotated.token?.graceEndsAt).toEqual(new Date(world.clock.now() + 60_000));
    expect(rotated.propagation?.waited).toBeGreaterThanOrEqual(0);
    const verdict = await keyward.tokens.validateToken({ token: rotated.plaintext });
    expect(verdict).toMatchObject({ valid: true, reason: VerdictReason.OK });
    expect(verdict.reason).toBe('VERDICT_REASON_OK');
  });

  test('name what they are about in each short form', async () => {
    const created = await keyward.tokens.createToken({
      name: 'named',
      owner: { username: 'staff-a', account: ACCOUNT_A },
    });
    registerCanary(created.plaintext);
    const id = created.token?.id ?? 0n;
    for (const selector of [
      { id },
      { id: Number(id) },
      { locator: created.token?.recordLocator ?? '' },
      { keyId: created.token?.keyId ?? '' },
      { name: 'named', account: ACCOUNT_A },
      { name: 'named', userProfile: { username: 'staff-a', account: ACCOUNT_A } },
      { ownedName: { name: 'named', accountNumber: ACCOUNT_A } },
    ]) {
      const { token } = await keyward.tokens.getToken({ token: selector });
      expect(token?.id, JSON.stringify(toJson(selector))).toBe(id);
    }
  });

  test('are made JSON without loss', async () => {
    const { tokens } = await keyward.tokens.listTokens({ filter: 'name = "named"' });
    const [json] = JSON.parse(JSON.stringify(toJson(tokens))) as [Record<string, unknown>];
    expect(json['id']).toBe(String(tokens[0]?.id));
    expect(json['createdAt']).toBe(tokens[0]?.createdAt?.toISOString());
  });

  test('are refused with every field that is none, or is in another form', async () => {
    const request: object = {
      nam: 'x',
      tags: 'one',
      expiresAt: new Date(Number.NaN),
      owner: { id: 1n, hashedId: 'x', colour: 'red' },
      annotations: { a: 1 },
    };
    const failed = keyward.tokens.createToken(request);
    await expect(failed).rejects.toMatchObject({
      codeName: 'INVALID_ARGUMENT',
      reason: 'INVALID_FIELDS',
      violations: [
        { field: 'nam', rule: 'is no field of the request' },
        { field: 'tags', rule: 'must be a list' },
        { field: 'expiresAt', rule: 'must be a valid Date' },
        { field: 'owner.colour', rule: 'is no field of the request' },
        { field: 'owner.hashedId', rule: 'must not be given together with id' },
        { field: 'annotations.a', rule: 'must be a string' },
      ],
    });
  });

  test('fail with reason and violations', async () => {
    await expect(keyward.tokens.createToken({ name: '' })).rejects.toMatchObject({
      name: 'KeywardCallError',
      reason: 'INVALID_FIELDS',
      violations: [expect.objectContaining({ field: 'name' })],
    });
  });
});

describe('the own token', () => {
  test('is read again when its file is replaced', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'keyward-token-'));
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, world.tokenOf('staff-a'));
    const client = open({ tokenFile });
    const { token, plaintext } = await keyward.tokens.createToken({
      name: 'own',
      scopes: ['keyward.tokens.*'],
    });
    registerCanary(plaintext);
    await writeFile(tokenFile, plaintext);
    await client.tokens.validateToken({ token: 'x' });
    const rotated = await keyward.tokens.rotateToken({ selector: { id: token?.id ?? 0n } });
    registerCanary(rotated.plaintext);
    await writeFile(`${tokenFile}.new`, `${rotated.plaintext}\n`);
    await rename(`${tokenFile}.new`, tokenFile);
    await client.tokens.validateToken({ token: 'x' });
    await rm(directory, { recursive: true });
  });

  test('is taken from a function', async () => {
    const client = open({ getToken: () => Promise.resolve(world.adminToken) });
    await client.tokens.validateToken({ token: 'x' });
  });

  test('is never named by an error', () => {
    expect(() => open({ token: 'a\nb' })).toThrow(/^the caller's token holds characters/);
    expect(() => open({ token: 'x', tokenFile: '/nowhere' })).toThrow('give one of');
  });
});

describe('servers that are lost', () => {
  test('are left for others', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const client = open({ servers: [nobody, world.server.address] });
    for (let count = 0; count < 6; count += 1) await client.tokens.validateToken({ token: 'x' });
  });

  test('are asked again until they are back', async () => {
    const proxy = await proxyTo(world.server.address);
    const client = open({ servers: addressOf(proxy) });
    await client.tokens.validateToken({ token: 'x' });
    proxy.cut();
    const answer = client.tokens.validateToken({ token: 'x' });
    const change = client.tokens.createToken({ name: 'not-repeated' });
    await expect(change).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    proxy.mend();
    await expect(answer).resolves.toMatchObject({ valid: false });
    await proxy.close();
  });

  test('are not asked again by who asks for no retries', async () => {
    const client = open({ servers: `127.0.0.1:${await freePort()}`, retry: false });
    await expect(client.tokens.validateToken({ token: 'x' })).rejects.toMatchObject({
      codeName: 'UNAVAILABLE',
    });
  });

  test('that fall silent are left by a new connection, before calls run out of time', async () => {
    const proxy = await proxyTo(world.server.address);
    const client = open({ servers: addressOf(proxy), keepalive: { timeMs: 200, timeoutMs: 200 } });
    await client.tokens.validateToken({ token: 'x' });
    proxy.silenceOpen();
    await expect(client.tokens.validateToken({ token: 'x' }, { timeoutMs: 5_000 })).resolves.toMatchObject({
      valid: false,
    });
    await proxy.close();
  });

  test('that fall silent are left for another one', async () => {
    const proxy = await proxyTo(world.server.address);
    const client = open({ servers: [addressOf(proxy), world.server.address] });
    for (let count = 0; count < 4; count += 1) await client.tokens.validateToken({ token: 'x' });
    proxy.silence();
    const answers = Array.from({ length: 4 }, () => client.tokens.validateToken({ token: 'x' }));
    for (const answer of answers) await expect(answer).resolves.toMatchObject({ valid: false });
    await proxy.close();
  });
});

describe('calls', () => {
  test('end with their signal and their time', async () => {
    const proxy = await proxyTo(world.server.address);
    const client = open({ servers: addressOf(proxy), keepalive: false });
    await client.tokens.validateToken({ token: 'x' });
    proxy.silence();
    const reason = new Error('enough');
    const abort = new AbortController();
    const ask = (options: CallOptions) => client.tokens.validateToken({ token: 'x' }, options);
    const aborted = ask({ signal: abort.signal });
    abort.abort(reason);
    const abortedLater = ask({ signal: AbortSignal.timeout(20) });
    const late = ask({ timeoutMs: 2_000 });
    const ended: string[] = [];
    for (const [name, call] of Object.entries({ aborted, abortedLater, late }))
      call.catch(() => ended.push(name));
    await expect(aborted).rejects.toBe(reason);
    await expect(abortedLater).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(late).rejects.toMatchObject({ codeName: 'DEADLINE_EXCEEDED' });
    expect(ended).toEqual(['aborted', 'abortedLater', 'late']);
    await proxy.close();
  });

  test('that are answered by a stream give its messages', async () => {
    for await (const message of keyward.tokens.watchTokens({})) {
      expect(message).toBeDefined();
      break;
    }
    async function* texts(): AsyncGenerator<{ token: string }> {
      yield await Promise.resolve({ token: 'x' });
    }
    const verdicts = [];
    for await (const verdict of keyward.tokens.streamValidateTokens(texts())) verdicts.push(verdict);
    expect(verdicts).toHaveLength(1);
  });
});
