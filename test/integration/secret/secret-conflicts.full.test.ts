import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Secret } from '../../../src/client/index.js';
import { CloneSecretResponse } from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { foldName } from '../../../src/lib/text.js';
import { newestEvent, readEvents } from '../../support/audit.js';
import { requestFields, selectorOf } from '../../support/descriptors.js';
import { byId, requestFor } from '../../support/requests.js';
import {
  encodeRequest,
  METHOD_NAMES,
  Peer,
  type MethodName,
  type Outcome,
  type RequestOf,
} from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { storedSecrets } from '../../support/stored-state.js';
import { existing, textOf, World } from '../../support/world.js';

const MAX_BYTES = 65_536;
const TAKEN = { code: 'ALREADY_EXISTS', reason: 'ALREADY_EXISTS', metadata: { field: 'name' } };

let world: World;
let peer: Peer;

beforeAll(async () => {
  world = await World.create();
  peer = new Peer(world.server.address, { token: world.tokenOf('staff-a') });
});

afterAll(async () => {
  peer.close();
  await world.close();
});

const owner = () => byId(world.profileOf('owner-a'));

/** unwritten calls, and fails if that wrote anything about secrets or recorded any change. */
async function unwritten(call: () => Promise<Outcome[]>): Promise<Outcome[]> {
  const url = world.database.url;
  const [before, newest] = [await storedSecrets(url), await newestEvent(url)];
  const outcomes = await call();
  expect(await storedSecrets(url)).toEqual(before);
  const done = (await readEvents(url, newest)).filter(({ outcome }) => outcome === 'OK');
  expect(done).toEqual([]);
  return outcomes;
}

/** imported inserts a secret as an import does, which may have any name. */
async function imported(name: string): Promise<bigint> {
  const [row] = await execute(
    world.database.url,
    `WITH s AS (INSERT INTO secrets (user_profile_id, name, name_key) VALUES ($1, $2, $3) RETURNING id)
     INSERT INTO secret_versions (secret_id, number, format, ciphertext, binding, binding_key_id)
     SELECT id, 1, 'TEXT', ''::bytea, sha256(''), '0123456789abcdef' FROM s RETURNING secret_id`,
    [String(world.profileOf('owner-a').id), name, foldName(name)],
  );
  return BigInt(existing(row)['secret_id'] as string);
}

describe('a value', () => {
  test.each([
    ['a byte too many', 'x'.repeat(MAX_BYTES + 1)],
    ['as many characters as there may be bytes, and a byte too many', `${'x'.repeat(MAX_BYTES - 1)}é`],
    ['a third of the characters, and a byte too many', `${'€'.repeat((MAX_BYTES - 1) / 3)}xx`],
    ['nothing', ''],
  ])('of %s is refused, as text and as bytes, of a new secret and of one there is', async (_, text) => {
    const selector = byId(await world.keep('owner-a'));
    const payloads = [textOf(text), { value: { $case: 'data', value: Buffer.from(text) } }] as const;
    const outcomes = await unwritten(() =>
      Promise.all(
        payloads.flatMap((payload) => [
          peer.call('createSecret', { owner: owner(), name: world.newName(), payload }),
          peer.call('addSecretVersion', { selector, payload }),
        ]),
      ),
    );
    const violations = [{ field: 'payload', rule: `must be 1 to ${MAX_BYTES} bytes long` }];
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS', violations });
  });

  test.each([
    ['one byte each', 'x'.repeat(MAX_BYTES)],
    ['two bytes each', 'é'.repeat(MAX_BYTES / 2)],
    ['three bytes each', `${'€'.repeat((MAX_BYTES - 1) / 3)}x`],
    ['four bytes each', '😀'.repeat(MAX_BYTES / 4)],
  ])('of just as many bytes as there may be is kept, in characters of %s', async (_, text) => {
    const { id } = await world.keep('owner-a', { payload: textOf(text) });
    const { payload } = await world.admin.secrets.accessSecret({ secret: byId({ id }) });
    expect(payload).toEqual(textOf(text));
  });

  test('that is not UTF-8 is refused where text is promised, and kept as bytes', async () => {
    const selector = byId(await world.keep('owner-a'));
    const bytes = Buffer.from([0xed, 0xa0, 0x80]); // Half of a surrogate pair.
    const data = { value: { $case: 'data', value: bytes } } as const;
    const encoded = encodeRequest('addSecretVersion', { selector, payload: data });
    // The field of bytes becomes the one of text.
    encoded[encoded.indexOf(Buffer.from([0x12, bytes.length, ...bytes]))] = 0x0a;
    const [outcome] = await unwritten(async () => [await peer.callRaw('addSecretVersion', encoded)]);
    expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_REQUEST' });
    expect(await peer.call('addSecretVersion', { selector, payload: data })).toMatchObject({ code: 'OK' });
  });
});

test('an unknown version is NOT_FOUND by every method that takes one, and nothing is written', async () => {
  const secret = byId(await world.keep('owner-a'));
  const outcomes = await unwritten(() =>
    Promise.all(
      [2, 2 ** 31 - 1].flatMap((version) => [
        peer.call('accessSecret', { secret, version }),
        peer.call('disableSecretVersion', { selector: secret, version }),
        peer.call('enableSecretVersion', { selector: secret, version }),
        peer.call('destroySecretVersion', { selector: secret, version }),
      ]),
    ),
  );
  for (const outcome of outcomes) expect(outcome).toMatchObject({ code: 'NOT_FOUND', reason: 'NOT_FOUND' });
});

/** The methods that change a secret in a state that the caller has seen. */
const MARKED = METHOD_NAMES.filter((method) => {
  const fields = requestFields(method);
  return (
    fields.some(({ name }) => name === 'etag') &&
    fields.some((field) => selectorOf(field)?.name === 'SecretSelector')
  );
});

test('there are methods with etags', () => {
  expect(MARKED.length).toBe(9);
});

describe.each(MARKED)('%s', (method: MethodName) => {
  test('with a stale etag, or one that is none, is ETAG_MISMATCH, and nothing is written', async () => {
    const request = (await requestFor(method, world)) as RequestOf<'updateSecret'>;
    const { secret } = await world.admin.secrets.getSecret({ secret: request.selector });
    const stale = existing(secret).etag;
    await execute(world.database.url, 'UPDATE secrets SET row_version = row_version + 1 WHERE id = $1', [
      String(existing(secret).id),
    ]);
    const etags = [stale, `${stale}x`, 'none', '\0', 'W/"1"'];
    const outcomes = await unwritten(() =>
      Promise.all(etags.map((etag) => peer.call(method, { ...request, etag } as RequestOf<MethodName>))),
    );
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ code: 'ABORTED', reason: 'ETAG_MISMATCH', violations: [] });
    const { secret: current } = await world.admin.secrets.getSecret({ secret: request.selector });
    const fresh = { ...request, etag: existing(current).etag } as RequestOf<MethodName>;
    expect(await peer.call(method, fresh)).toMatchObject({ code: 'OK' });
  });
});

describe('a name that another secret of the owner has', () => {
  test.each([
    ['as it is', 'db.password', 'db.password'],
    ['in capitals', 'api key', 'API KEY'],
    ['with characters of full width', 'ｆｕｌｌ-width', 'full-width'],
    ['with a ligature', 'ﬁle.key', 'file.key'],
    ['with a letter of two capitals', 'straße', 'STRASSE'],
    ['with the Kelvin sign', '\u212Aey', 'key'],
  ])('is refused however it is to be given, %s, and nothing is written', async (_, taken, name) => {
    await imported(taken);
    const other = byId(await world.keep('owner-a'));
    const deleted = byId({ id: await imported(name.replace(/^./, (first) => first.toUpperCase())) });
    await execute(
      world.database.url,
      "UPDATE secrets SET deleted_at = now(), purge_at = now() + interval '9 days' WHERE id = $1",
      [String(deleted.selector.value)],
    );
    const outcomes = await unwritten(() =>
      Promise.all([
        peer.call('createSecret', { owner: owner(), name, payload: textOf('x') }),
        peer.call('renameSecret', { selector: other, newName: name }),
        peer.call('cloneSecret', { selector: other, newName: name }),
        peer.call('undeleteSecret', { selector: deleted }),
      ]),
    );
    for (const outcome of outcomes) expect(outcome).toMatchObject(TAKEN);
  });
});

describe('a circle', () => {
  const rename = (secret: { id: bigint }, newName: string) =>
    peer.call('renameSecret', { selector: byId(secret), newName });
  const clone = async ({ id }: { id: bigint }, newName: string): Promise<Secret> => {
    const outcome = await peer.call('cloneSecret', { selector: byId({ id }), newName });
    expect(outcome).toMatchObject({ code: 'OK' });
    return existing(CloneSecretResponse.decode(outcome.response).secret);
  };
  const nameOf = async ({ id }: { id: bigint }) =>
    existing((await world.admin.secrets.getSecret({ secret: byId({ id }) })).secret).name;

  test('of two names is refused step by step and writes nothing, but goes by way of a third', async () => {
    const [a, b] = [await world.keep('owner-a'), await world.keep('owner-a')];
    const outcomes = await unwritten(async () => [
      await rename(a, b.name),
      await rename(b, a.name),
      ...(await Promise.all([rename(a, b.name), rename(b, a.name)])),
    ]);
    for (const outcome of outcomes) expect(outcome).toMatchObject(TAKEN);
    for (const [secret, name] of [
      [a, world.newName()],
      [b, a.name],
      [a, b.name],
    ] as const)
      expect(await rename(secret, name)).toMatchObject({ code: 'OK' });
    expect([await nameOf(a), await nameOf(b)]).toEqual([b.name, a.name]);
  });

  test('of clones gives each a name of its own and the value of the first', async () => {
    const first = await world.keep('owner-a');
    const [moved, again] = [world.newName(), world.newName()];
    expect(await rename(first, moved)).toMatchObject({ code: 'OK' });
    const second = await clone(first, first.name);
    const third = await clone(second, again);
    const refused = await unwritten(() =>
      Promise.all(
        [first.name, moved, again].map((newName) =>
          peer.call('cloneSecret', { selector: byId(third), newName }),
        ),
      ),
    );
    for (const outcome of refused) expect(outcome).toMatchObject(TAKEN);
    for (const secret of [first, second, third]) {
      const { payload } = await world.admin.secrets.accessSecret({ secret: byId(secret) });
      expect(payload).toEqual(textOf(first.value));
    }
    expect([await nameOf(first), await nameOf(second), await nameOf(third)]).toEqual([
      moved,
      first.name,
      again,
    ]);
  });

  test('at the same time, of renames, clones and deletions, ends with one secret of each name', async () => {
    const secrets = [await world.keep('owner-a'), await world.keep('owner-a'), await world.keep('owner-a')];
    const names = secrets.map(({ name }) => name);
    for (let round = 0; round < 5; round += 1) {
      const outcomes = await Promise.all(
        secrets.flatMap(({ id }, at) => {
          const next = existing(names[(at + round + 1) % names.length]);
          const selector = byId({ id });
          return [
            peer.call('renameSecret', { selector, newName: next.toUpperCase() }),
            peer.call('cloneSecret', { selector, newName: next }),
            peer.call('deleteSecret', { selector }),
            peer.call('undeleteSecret', { selector }),
          ];
        }),
      );
      for (const { reason } of outcomes)
        expect(['', 'ALREADY_EXISTS', 'NOT_FOUND', 'NOT_DELETED']).toContain(reason);
    }
    // Which of them went ahead is chance, so whatever name is free now is given away first.
    for (const name of names) {
      const outcome = await peer.call('createSecret', { owner: owner(), name, payload: textOf('x') });
      if (outcome.code !== 'OK') expect(outcome).toMatchObject(TAKEN);
    }
    const rows = await execute(
      world.database.url,
      `SELECT name_key, count(*)::int AS count FROM secrets
       WHERE name_key = ANY ($1) AND deleted_at IS NULL GROUP BY name_key ORDER BY name_key`,
      [names.map(foldName)],
    );
    expect(rows).toEqual(
      names
        .map(foldName)
        .sort()
        .map((name_key) => ({ name_key, count: 1 })),
    );
  });
});
