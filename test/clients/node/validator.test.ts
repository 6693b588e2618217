import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  connect,
  createValidator,
  KeywardCallError,
  type KeywardClient,
  type Validator,
  type ValidatorOptions,
} from '@keyward/client';
import { FakeReplica, OWNER } from '../../support/fake-replica.js';

const TEXT = 'token-text';

let replicas: FakeReplica[];
let replica: FakeReplica;
let client: KeywardClient;
const opened: { close(): void }[] = [];

beforeEach(async () => {
  replicas = [await FakeReplica.start(), await FakeReplica.start()];
  const [first] = replicas;
  if (first === undefined) throw new Error('no replica');
  replica = first;
  for (const each of replicas) each.tokens.set(TEXT, {});
});

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  for (const each of replicas) each.stop();
});

function open(options: ValidatorOptions = {}, servers: readonly string[] = [replica.address]): Validator {
  client = connect({ servers, token: 'own', timeoutMs: 2_000 });
  const validator = createValidator(client, options);
  opened.push(validator, client);
  return validator;
}

async function leased(options: ValidatorOptions = {}): Promise<Validator> {
  const validator = open(options);
  await vi.waitFor(() => expect(validator.isLeased).toBe(true));
  return validator;
}

describe('a validator', () => {
  test('asks once, and then answers from memory, with the same verdict', async () => {
    const validator = await leased();
    const asked = await validator.validate(TEXT, { scopes: ['a'] });
    expect(asked).toMatchObject({ valid: true, reason: 'OK', principal: OWNER, keyId: `key of ${TEXT}` });
    expect(validator.validateCached(TEXT, { scopes: ['a'] })).toEqual(asked);
    expect(await validator.validate(TEXT)).toEqual(asked);
    expect(validator.counts).toEqual({ memory: 2, lookUp: 1, call: 0 });
    expect(replica.calls).toBe(0);
  });

  test('sends no text, but its digest, and texts of one moment together', async () => {
    const validator = await leased();
    const verdicts = await Promise.all(['x', 'y', TEXT].map((text) => validator.validate(text)));
    expect(verdicts.map(({ reason }) => reason)).toEqual(['UNKNOWN', 'UNKNOWN', 'OK']);
    expect(replica.all('lookUp')).toHaveLength(1);
    const sent = JSON.stringify(replica.stream.received, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    expect(sent).not.toContain(TEXT);
  });

  test('says who it is', async () => {
    await leased({ label: 'checkout/web' });
    expect(replica.all('open')[0]).toMatchObject({
      label: 'checkout/web',
      agent: expect.stringMatching(/^keyward-node\/\d/) as string,
      clientId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(() => open({ label: 'no spaces' })).toThrow('label');
    expect(() => open({ maxEntries: 0 })).toThrow('maxEntries');
  });

  test('has forgotten before it acknowledges', async () => {
    const validator = await leased();
    await validator.validate(TEXT);
    replica.tokens.set(TEXT, { isActive: false });
    replica.stream.send({ invalidation: { number: 4n, handles: [replica.handleOf(TEXT)] } });
    await vi.waitFor(() => expect(replica.all('acknowledgement')).toEqual([{ number: 4n }]));
    expect(validator.validateCached(TEXT)).toBeUndefined();
    expect(await validator.validate(TEXT)).toMatchObject({ valid: false, reason: 'INACTIVE' });
  });

  test('without a lease asks by calls, and keeps nothing', async () => {
    replica.leaseMs = undefined;
    const validator = open();
    await vi.waitFor(() => expect(replica.all('renewal').length).toBeGreaterThan(0));
    for (let count = 1; count <= 2; count += 1) {
      expect((await validator.validate(TEXT)).valid).toBe(true);
      expect(replica.calls).toBe(count);
    }
    expect(validator.size).toBe(0);
    expect(replica.all('lookUp')).toEqual([]);
  });

  test('whose lease has run out does not answer from memory, and does again with the next', async () => {
    replica.leaseMs = 100;
    const validator = await leased();
    await validator.validate(TEXT);
    replica.leaseMs = undefined;
    await vi.waitFor(() => expect(validator.isLeased).toBe(false));
    expect(validator.validateCached(TEXT)).toBeUndefined();
    replica.leaseMs = 3_000;
    await vi.waitFor(() => expect(validator.validateCached(TEXT)?.valid).toBe(true));
  });

  test('gives no verdict where nobody can tell, nor where its own token is refused', async () => {
    replica.fails = status.UNAUTHENTICATED;
    const validator = open();
    await expect(validator.validate(TEXT)).rejects.toBeInstanceOf(KeywardCallError);
    replica.fails = status.UNAVAILABLE;
    await expect(validator.validate(TEXT)).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
  });

  test('goes on by calls at a service that lets it hold nothing', async () => {
    replica.fails = status.PERMISSION_DENIED;
    const validator = open();
    await expect(validator.validate(TEXT)).rejects.toThrow();
    replica.fails = undefined;
    expect((await validator.validate(TEXT)).valid).toBe(true);
    expect(replica.streams).toEqual([]);
  });

  test('knows what is no token, and refuses what are no scopes', async () => {
    const validator = await leased();
    for (const text of ['x'.repeat(1_025), 'ä'.repeat(513), 'half \ud800'])
      expect(await validator.validate(text)).toMatchObject({ reason: 'UNKNOWN' });
    expect(replica.all('lookUp')).toEqual([]);
    const wrong = { codeName: 'INVALID_ARGUMENT', violations: [{ field: 'scopes[1]' }] };
    await expect(validator.validate(TEXT, { scopes: ['a', 'B'] })).rejects.toMatchObject(wrong);
    await validator.validate(TEXT);
    await expect(validator.validate(TEXT, { scopes: ['a', 'B'] })).rejects.toMatchObject(wrong);
  });

  test('tells how often keys passed', async () => {
    const validator = await leased();
    for (let count = 0; count < 3; count += 1) await validator.validate(TEXT);
    await vi.waitFor(() => {
      const uses = replica.all('renewal').flatMap((renewal) => renewal.uses);
      expect(uses.reduce((sum, { count }) => sum + count, 0)).toBe(3);
      expect(uses[0]?.keyId).toBe(`key of ${TEXT}`);
    });
  });

  test('says that it has left, and has forgotten, when it is closed', async () => {
    const validator = await leased();
    await validator.validate(TEXT);
    validator.close();
    expect(validator.validateCached(TEXT)).toBeUndefined();
    await vi.waitFor(() => expect(replica.stream.hasEnded).toBe(true));
    expect(replica.all('left')).toHaveLength(1);
  });
});

describe('a bound text', () => {
  test('answers as the text does', async () => {
    const validator = await leased();
    const bound = validator.bind(TEXT);
    expect(bound.validateCached()).toBeUndefined();
    expect((await bound.validate({ scopes: ['a'] })).valid).toBe(true);
    expect(bound.validateCached({ scopes: ['a'] })).toEqual(validator.validateCached(TEXT));
    expect(validator.bind('x'.repeat(2_000)).validateCached()).toMatchObject({ reason: 'UNKNOWN' });
  });

  test('is told of when it does not pass any more, and not when it does, or was released', async () => {
    const revoked: string[] = [];
    const validator = await leased({
      onRevoked: (bound, { reason }) => revoked.push(`${bound === watched ? 'watched' : 'other'}: ${reason}`),
    });
    const watched = validator.bind(TEXT);
    const released = validator.bind(TEXT);
    await watched.validate();
    const invalidation = { number: 1n, handles: [replica.handleOf(TEXT)] };
    replica.stream.send({ invalidation });
    await vi.waitFor(() => expect(validator.validateCached(TEXT)?.valid).toBe(true));
    expect(revoked).toEqual([]);
    released.release();
    replica.tokens.set(TEXT, { isActive: false });
    replica.stream.send({ invalidation: { ...invalidation, number: 2n } });
    await vi.waitFor(() => expect(revoked).toEqual(['watched: INACTIVE']));
  });
});

describe('a stream that ends', () => {
  async function onBoth(): Promise<{ validator: Validator; at: FakeReplica; other: FakeReplica }> {
    const validator = open(
      {},
      replicas.map(({ address }) => address),
    );
    await vi.waitFor(() => expect(validator.isLeased).toBe(true));
    const [at, other] = [...replicas].sort((one, two) => two.streams.length - one.streams.length);
    if (at === undefined || other === undefined) throw new Error('no replica');
    await validator.validate(TEXT);
    await vi.waitFor(() => expect(at.all('renewal').length).toBeGreaterThan(2));
    return { validator, at, other };
  }

  test('is followed by one to another replica, which is told what is held; memory answers all the while', async () => {
    const { validator, at, other } = await onBoth();
    at.stream.fail();
    await vi.waitFor(() => {
      expect(validator.validateCached(TEXT)?.valid).toBe(true);
      expect(other.all('renewal').length).toBeGreaterThan(1);
    });
    expect(other.all('open')[0]).toMatchObject({
      clientId: at.all('open')[0]?.clientId,
      position: { revision: 1n },
      tokens: [{ userId: OWNER.userId, handles: [at.handleOf(TEXT)] }],
    });
    expect(validator.counts).toMatchObject({ lookUp: 1, call: 0 });
  });

  test('because the replica asks to leave is left only when the other has granted', async () => {
    const { validator, at, other } = await onBoth();
    other.leaseMs = undefined;
    at.stream.send({ leave: { reason: 'HOLD_LEAVE_REASON_STOPPING' } });
    await vi.waitFor(() => expect(other.all('renewal').length).toBeGreaterThan(1));
    expect(at.all('left')).toEqual([]);
    expect(validator.validateCached(TEXT)?.valid).toBe(true);
    other.leaseMs = 3_000;
    await vi.waitFor(() => expect(at.all('left')).toHaveLength(1));
    await vi.waitFor(() => expect(at.stream.hasEnded).toBe(true));
    expect(validator.validateCached(TEXT)?.valid).toBe(true);
  });

  test('that it has left may tell it something more', async () => {
    const { validator, at, other } = await onBoth();
    at.endsWithClient = false;
    at.stream.send({ leave: { reason: 'HOLD_LEAVE_REASON_STOPPING' } });
    await vi.waitFor(() => expect(at.stream.hasEnded).toBe(true));
    at.stream.send({ invalidation: { number: 1n, handles: [1n] } });
    const renewals = other.all('renewal').length;
    await vi.waitFor(() => expect(other.all('renewal').length).toBeGreaterThan(renewals + 2));
    expect(at.all('acknowledgement')).toEqual([]);
    expect(validator.validateCached(TEXT)?.valid).toBe(true);
  });

  test('finds everything forgotten at a replica that cannot resume', async () => {
    const { validator, at, other } = await onBoth();
    other.resumes = false;
    at.stream.fail();
    await vi.waitFor(() => expect(other.all('renewal').length).toBeGreaterThan(0));
    expect(validator.validateCached(TEXT)).toBeUndefined();
    expect((await validator.validate(TEXT)).valid).toBe(true);
  });
});
